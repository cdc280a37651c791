"""The checker finds what is planted, and nothing else."""
import unittest

from history import History, Operation, Violation


class Register(unittest.TestCase):
    def check(self, *operations):
        history = History()
        for operation in operations:
            history.add("r", Operation(*operation))
        history.check()

    def refused(self, pattern, *operations):
        with self.assertRaisesRegex(Violation, pattern):
            self.check(*operations)

    def test_what_may_be(self):
        self.check(("write", 0, 1, 1, "a"), ("read", 2, 3, 1, "a"), ("write", 4, 5, 2, "b"), ("read", 4.5, 6, 1, "a"), ("read", 4.5, 6, 2, "b"))
        self.check(("read", 0, 1, 0), ("unknown", 0, 1, None, "a"), ("read", 2, 3, 0), ("read", 4, 5, 1, "a"), ("write", 6, 7, 2, "b"))
        self.check(("write", 0, 1, 1, "a"), ("lost_cas", 0.5, 2, 0), ("unknown", 1, 2, None, "b"), ("write", 3, 4, 3, "c"))
        self.check(("write", 0, 10, 1, "a"), ("read", 1, 2, 0), ("read", 3, 4, 1, "a"))

    def test_stale_read(self):
        self.refused("out of date", ("write", 0, 1, 1, "a"), ("write", 2, 3, 2, "b"), ("read", 4, 5, 1, "a"))
        self.refused("out of date", ("write", 0, 1, 1, "a"), ("read", 2, 3, 0))

    def test_reads_go_back(self):
        self.refused("out of date", ("write", 0, 10, 1, "a"), ("read", 1, 2, 1, "a"), ("read", 3, 4, 0))
        self.refused("out of date", ("unknown", 0, 1, None, "a"), ("read", 1, 2, 1, "a"), ("read", 3, 4, 0))

    def test_lost_write(self):
        self.refused("acknowledged twice", ("write", 0, 1, 1, "a"), ("write", 2, 3, 1, "b"))
        self.refused("has two values", ("unknown", 0, 1, None, "a"), ("write", 2, 3, 1, "b"), ("read", 4, 5, 1, "a"))
        self.refused("no writes for", ("write", 0, 1, 1, "a"), ("write", 2, 3, 3, "b"))

    def test_writes_out_of_order(self):
        self.refused("out of date", ("write", 0, 1, 2, "a"), ("write", 2, 3, 1, "b"))

    def test_phantoms(self):
        self.refused("nobody wrote", ("read", 0, 1, 1, "z"))
        self.refused("nothing was changed", ("void", 0, 1, None, "a"), ("read", 2, 3, 1, "a"))
        self.refused("another state", ("write", 0, 1, 1, "a"), ("write", 2, 3, 2, "b"), ("read", 4, 5, 2, "a"))

    def test_condition_that_held(self):
        self.check(("write", 0, 1, 1, "a"), ("unknown", 1.5, 2, None, "b"), ("lost_cas", 2, 3, 1))
        self.refused("was the newest", ("write", 0, 1, 1, "a"), ("lost_cas", 2, 3, 1))
        self.refused("was the newest", ("lost_cas", 2, 3, 0), ("write", 4, 5, 1, "a"))


if __name__ == "__main__":
    unittest.main()
