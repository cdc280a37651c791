"""What clients saw, and whether one copy of the data that does one thing at a time could have answered so (linearizability).

Every object here is a register whose states have numbers that the server or the only writer gives (a secret's version; alive, then dead, for a
token), so that the order of its states is known and checking costs no search: going through the states in order, each operation must have
a moment between its start and its end at which its state was the newest.
"""
import collections
import math
import threading


class Violation(Exception):
    pass


class Operation:
    """`state` None: not known (an unanswered write). `value` tells one write from another."""
    __slots__ = ("kind", "start", "end", "state", "value", "node")

    def __init__(self, kind, start, end, state, value=None, node=None):
        self.kind, self.start, self.end, self.state, self.value, self.node = kind, start, end, state, value, node

    def __repr__(self):
        return f"{self.kind} state={self.state} value={self.value} node={self.node} [{self.start:.4f}, {self.end:.4f}]"


class History:
    """Kinds: "write" (acknowledged, with its state), "unknown" (a write that may or may not have taken effect), "void" (a write whose answer says
    that nothing was changed), "read", and "lost_cas" (a write on condition of `state`, refused because that was not the newest)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.objects = collections.defaultdict(list)

    def add(self, name, operation):
        with self.lock:
            self.objects[name].append(operation)

    def counts(self):
        with self.lock:
            return collections.Counter(operation.kind for operations in self.objects.values() for operation in operations)

    def check(self):
        """Raises Violation for the first object whose history is impossible."""
        with self.lock:
            objects = {name: list(operations) for name, operations in self.objects.items()}
        for name, operations in objects.items():
            check_register(name, operations)


def check_register(name, operations):
    def fail(why, *involved):
        raise Violation(f"{name}: {why}\n" + "\n".join(f"  {one}" for one in involved))

    sent = {operation.value: operation for operation in operations if operation.kind in ("write", "unknown", "void")}
    made = {}  # state -> the write that made it
    reads = collections.defaultdict(list)
    for operation in operations:
        if operation.kind == "write":
            if operation.state in made:
                fail(f"state {operation.state} was acknowledged twice", made[operation.state], operation)
            made[operation.state] = operation
    for operation in operations:
        if operation.kind != "read" or operation.state == 0:
            if operation.kind == "read":
                reads[0].append(operation)
            continue
        write = sent.get(operation.value)
        if write is None:
            fail("a value was read that nobody wrote", operation)
        if write.kind == "void":
            fail("what was answered with 'nothing was changed' took effect", write, operation)
        if write.kind == "write" and write.state != operation.state:
            fail("a value was read as another state than it was acknowledged as", write, operation)
        known = made.setdefault(operation.state, Operation("unknown", write.start, math.inf, operation.state, write.value, write.node))
        if known.value != operation.value:
            fail(f"state {operation.state} has two values", known, operation)
        reads[operation.state].append(operation)

    unseen = sum(operation.kind == "unknown" for operation in sent.values()) - sum(operation.kind == "unknown" for operation in made.values())
    newest = max(made, default=0)
    if newest - len(made) > unseen:
        fail(f"there are {newest} states, and no writes for {newest - len(made)} of them")

    moment, latest = -math.inf, None
    for state in sorted(set(made) | set(reads)):
        steps = []
        if state in made:
            steps.append([made[state]])
        steps.append(reads[state])
        for step in steps:
            reached, who = moment, latest
            for operation in step:
                if moment > operation.end:
                    fail("an answer that was out of date when its request began", latest, operation)
                if operation.start > reached:
                    reached, who = operation.start, operation
            moment, latest = reached, who
    for operation in operations:
        if operation.kind == "lost_cas":
            check_lost_cas(operation, made, reads, sent.values(), fail)


def check_lost_cas(operation, made, reads, sent, fail):
    """It is wrong only if its state was the newest all the time: made before, and no later one begun before its end."""
    state = operation.state
    if state != 0 and not (state in made and (made[state].end < operation.start or any(read.end < operation.start for read in reads[state]))):
        return
    later = [write for number, write in made.items() if number > state] + [write for write in sent if write.kind == "unknown" and write.value != getattr(made.get(state), "value", None)]
    if all(write.start > operation.end for write in later):
        fail("a write was refused for a state that was the newest", operation)
