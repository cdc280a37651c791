#!/usr/bin/env python3
"""Every test that docs/contracts.md names exists, and every contract of its tables has one, or says why not yet.

A row is `| ID | what | file::Class.method[, …] |`, files below tests/, or `| ID | what | not yet: why |`. Prints each row that is wrong; ends with
1 when there is one. With `--ran FOLDER` a test must have passed there as well: harness.py leaves a line for each in FOLDER/<file>, and
tests/test_main.cc in FOLDER/unit.<folder>.
"""
import ast
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ID = re.compile(r"^(?:S\d-\d+[a-z]?|D-\d+|[A-Z]\d+)$")
REFERENCE = re.compile(r"^`([\w/]+\.(?:py|cc))::([\w.]+)`$")


def python_tests(path):
    """Class.method of every test that the file defines; a class whose tests are made by a loop counts with `Class`."""
    out = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            out.add(node.name)
            out.update(f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef) and item.name.startswith("test"))
    return out


def boost_tests(path):
    return set(re.findall(r"BOOST_(?:AUTO|FIXTURE|DATA)_TEST_CASE\((\w+)", path.read_text()))


def wrong_reference(reference):
    """Why `reference` names no test, or None."""
    match = REFERENCE.match(reference)
    if not match:
        return f"{reference!r} is not `file::test`"
    path = ROOT / "tests" / match.group(1)
    if not path.is_file():
        return f"there is no file tests/{match.group(1)}"
    tests = python_tests(path) if path.suffix == ".py" else boost_tests(path)
    return None if match.group(2) in tests else f"tests/{match.group(1)} has no test {match.group(2)}"


@functools.cache
def cases(folder):
    """Boost test cases that passed, as `file::case`; a suite of data counts by its own name."""
    return {line for record in pathlib.Path(folder).glob("unit.*") for line in record.read_text().splitlines()}


def ran(folder, reference):
    """Whether the test of `reference` left its line in `folder`; a class counts when any test of it did. Other Python files are ctest's own."""
    path, name = REFERENCE.match(reference).groups()
    if path.endswith(".cc"):
        return f"{path}::{name}" in cases(folder)
    if not path.startswith("contract/"):
        return True
    record = pathlib.Path(folder) / pathlib.Path(path).name
    passed = record.read_text().split() if record.is_file() else []
    return name in passed or ("." not in name and any(test.startswith(name + ".") for test in passed))


def check(text, ran_folder=None):
    """(complaints, number of rows)."""
    complaints, seen = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != 3 or not ID.match(cells[0]):
            continue
        if cells[0] in seen:
            complaints.append(f"docs/contracts.md:{number}: {cells[0]} stands twice")
        seen.add(cells[0])
        if re.match(r"not yet: \w", cells[2]):
            continue
        for reference in cells[2].split(", "):
            why = wrong_reference(reference)
            if not why and ran_folder and not ran(ran_folder, reference):
                why = f"{reference} did not run, or failed"
            if why:
                complaints.append(f"docs/contracts.md:{number}: {cells[0]}: {why}")
    return complaints, len(seen)


def check_features(text):
    """(complaints, number of rows) of docs/features.md: a state, a test where it says done, and no ★ row that is declined."""
    complaints, rows = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4 or not re.match(r"[A-Z0-9]+-\d+$", cells[0]):
            continue
        rows += 1
        at = f"docs/features.md:{number}: {cells[0]}"
        if not re.match(r"(done|part|open|declined)\b", cells[2]):
            complaints.append(f"{at}: {cells[2]!r} is no state")
        if cells[2].startswith("done") and not cells[3]:
            complaints.append(f"{at}: done, and no test")
        if cells[2].startswith("declined") and "★" in cells[1]:
            complaints.append(f"{at}: a mandatory feature is declined")
        for name in re.findall(r"`([a-z_/]+\.(?:py|cc)(?:::[\w.]+)?)`", cells[3]):
            why = wrong_reference(f"`{name}`") if "::" in name else None if (ROOT / "tests" / name).is_file() else f"no tests/{name}"
            if why:
                complaints.append(f"{at}: {why}")
    return complaints, rows


def main():
    ran_folder = sys.argv[2] if sys.argv[1:2] == ["--ran"] else None
    complaints, rows = check((ROOT / "docs/contracts.md").read_text(), ran_folder)
    more, features = check_features((ROOT / "docs/features.md").read_text())
    complaints += more
    if rows == 0 or features == 0:
        complaints.append("docs/contracts.md or docs/features.md has no row")
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print(f"{rows} contracts, each with its test or the reason why not yet")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
