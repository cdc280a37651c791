#!/usr/bin/env python3
"""Every row of docs/advisories.md has its test and mutant, or says why not; every mutant is declared, used and caught by a test.

A row is `| A1 | what must hold | tests | mutants |`. Tests: `` `file::Class.method` `` or `` `file::test_case` `` below tests/, or the
`` `file::check` `` of a table ROWS (tests/contract/advisory.py), or `not yet: why`. Mutants: `` `kName` ``, or `none: why`. Prints each row or
mutant that is wrong; ends with 1 when there is one. With `--ran FOLDER` the tests must have passed there as well.
"""
import ast
import pathlib
import re
import sys

import contracts

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Published rows of each class.
ROWS = {"A": 28, "B": 7, "C": 6, "D": 19, "E": 8, "F": 10, "G": 13, "H": 21, "I": 8, "J": 10, "K": 9, "L": 10}
DECLARED = re.compile(r'^COFFER_MUTANT\((\w+), "(\w+)"\)$', re.M)
FOLDERS = ("base", "crypto", "store", "raft", "hsm", "seal", "core", "engines", "actors", "rpc", "http", "server", "cli")


def checks_of(path):
    """{check: [(row, mutant's name)]} of the tables ROWS in a Python file."""
    out = {}
    if not path.is_file() or path.suffix != ".py":
        return out
    for node in ast.parse(path.read_text()).body:
        table = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) and isinstance(node.value, ast.List) else ""
        for row in node.value.elts if table == "ROWS" else ():
            out.setdefault(row.elts[2].id, []).append((row.elts[0].value, row.elts[1].value))
    return out


def wrong_test(reference, row, names, ran_folder):
    """Why `reference` is no test of `row`, or None. `names` of the row's mutants."""
    match = contracts.REFERENCE.match(reference)
    if not match:
        return f"{reference!r} is not `file::test`"
    path = ROOT / "tests" / match.group(1)
    of_check = checks_of(path).get(match.group(2))
    if of_check is None:
        why = contracts.wrong_reference(reference)
        return why or (f"{reference} did not run, or failed" if ran_folder and not contracts.ran(ran_folder, reference) else None)
    mutants = [mutant for _, mutant in of_check if mutant in names]
    if not mutants:
        return f"{reference} stands in ROWS with none of the row's mutants"
    if ran_folder:
        record = pathlib.Path(ran_folder) / path.name
        passed = record.read_text().split() if record.is_file() else []
        if not any(f"_{mutant}_" in test for mutant in mutants for test in passed):
            return f"{reference} did not run, or failed"
    return None


def check_table(text, declared, ran_folder):
    """(complaints, rows seen)."""
    complaints, seen = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4 or not re.match(r"[A-L]\d+$", cells[0]):
            continue
        at = f"docs/advisories.md:{number}: {cells[0]}"
        if cells[0] in seen:
            complaints.append(f"{at} stands twice")
        seen.add(cells[0])
        if re.match(r"not yet: \w", cells[2]):
            continue
        mutants = re.findall(r"`(k\w+)`", cells[3])
        if not mutants and not re.match(r"none: \w", cells[3]):
            complaints.append(f"{at}: neither a mutant nor a reason why there is none")
        complaints += [f"{at}: no mutant {mutant} is declared" for mutant in mutants if mutant not in declared]
        names = [declared.get(mutant) for mutant in mutants]
        for reference in cells[2].split(", "):
            if why := wrong_test(reference, cells[0], names, ran_folder):
                complaints.append(f"{at}: {why}")
    for letter, count in ROWS.items():
        complaints += [f"docs/advisories.md: {letter}{i} is missing" for i in range(1, count + 1) if f"{letter}{i}" not in seen]
    return complaints, seen


def texts(folders, *endings):
    return "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in endings)


def check_mutants(declared):
    """Each is asked for in the product and named by a test."""
    product = texts(FOLDERS, ".cc", ".h")
    tests = texts(("tests",), ".cc", ".h", ".py", ".txt")
    complaints = []
    for mutant, name in declared.items():
        if not re.search(rf"Mutant::{mutant}\b", product):
            complaints.append(f"base/mutants.inc: {mutant} is used nowhere")
        if not re.search(rf"Mutant::{mutant}\b", tests) and not re.search(rf'"{name}"|={name}\b', tests):
            complaints.append(f"base/mutants.inc: no test names {mutant} ({name})")
    return complaints


def main():
    ran_folder = sys.argv[2] if sys.argv[1:2] == ["--ran"] else None
    declared = dict(DECLARED.findall((ROOT / "base/mutants.inc").read_text()))
    complaints, seen = check_table((ROOT / "docs/advisories.md").read_text(), declared, ran_folder)
    complaints += check_mutants(declared)
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print(f"{len(seen)} rows, each with its test or the reason why not yet; {len(declared)} mutants, each used and caught")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
