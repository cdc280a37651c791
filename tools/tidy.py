#!/usr/bin/env python3
"""Checks sizes and banned calls: lines, files, functions, includes per header, and calls that have a better name here.

Tests and benchmarks are held to the length of lines alone.
"""
import pathlib
import re
import sys

LINE_COLUMNS_MAX = 120
FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
HEADER_INCLUDES_MAX = 10  # of this repository; the standard library's cost little
FOLDERS = ["base", "crypto", "store", "raft", "hsm", "seal", "replication", "core", "engines", "actors", "rpc", "http", "server", "cli",
           "agent"]
LINE_LENGTH_FOLDERS = FOLDERS + ["tests", "bench"]
# pattern, folders where it is allowed, what to use instead
BANNED = [
    (r"\bsystem_clock::now\b|\bsteady_clock::now\b|\bclock_gettime\(", ["base", "server"], "base/clock.h"),
    (r"\brand\(\)|\bstd::random_device\b|\bmt19937\b", [], "base/rng.h"),
    (r"\bgetrandom\(|\bRAND_bytes\(", ["base"], "base/rng.h"),
    (r"\bsleep_for\b|\busleep\(|\bsleep\(", ["cli"], "a condition, a deadline or an injected clock"),
    (r"\bassert\(", [], "COFFER_CHECK"),
    (r"\bstrcpy\(|\bstrcat\(|\bsprintf\(|\bgets\(", [], "std::string or fmt"),
    (r"\bsystem\(|\bpopen\(", [], "nothing: the server runs no host command"),
    (r"\busing namespace std\b", [], "qualified names"),
    (r"\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b", [], "an issue"),
    (r"\bmemset_s\b|\bbzero\(", ["base"], "wipe()"),
]


def strip_comments(line):
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def functions(lines):
    """Yields (first line number, length) of each outermost braces block that follows a parameter list at column 0."""
    start, depth, in_function = 0, 0, False
    for number, raw in enumerate(lines, 1):
        line = strip_comments(raw)
        if not in_function and raw[:1] not in (" ", "\t", "", "}", "#", "/") and "(" in line and "namespace" not in line:
            start = number
        if not in_function and start and line.rstrip().endswith("{") and ("(" in line or ")" in line) and not raw.startswith(("namespace", "class", "struct", "enum")):
            in_function, depth = True, 0
        if in_function:
            depth += line.count("{") - line.count("}")
            if depth <= 0:
                yield start, number - start + 1
                in_function, start = False, 0


def check_lines(root, path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield f"{path.relative_to(root)}:{number}: {len(line)} columns, at most {LINE_COLUMNS_MAX}"


def check_file(root, path):
    folder = path.relative_to(root).parts[0]
    text = path.read_text()
    lines = text.splitlines()
    name = path.relative_to(root)
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}:1: {len(lines)} lines, at most {FILE_LINES_MAX}"
    if path.suffix == ".h":
        includes = sum(1 for line in lines if line.startswith('#include "'))
        if includes > HEADER_INCLUDES_MAX:
            yield f"{name}:1: {includes} includes, at most {HEADER_INCLUDES_MAX}"
        if "#pragma once" not in text:
            yield f"{name}:1: no #pragma once"
        if not text.startswith("//"):
            yield f"{name}:1: a header begins with its contract"
    for start, length in functions(lines):
        if length > FUNCTION_LINES_MAX:
            yield f"{name}:{start}: a function of {length} lines, at most {FUNCTION_LINES_MAX}"
    for number, raw in enumerate(lines, 1):
        line = strip_comments(raw) if "TODO" not in raw and "FIXME" not in raw else raw
        for pattern, allowed, instead in BANNED:
            if folder not in allowed and re.search(pattern, line):
                yield f"{name}:{number}: {re.search(pattern, line).group(0)} is banned here; use {instead}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    problems, files = [], 0
    for folder in LINE_LENGTH_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".c", ".inc"):
                files += 1
                problems += check_lines(root, path)
                if folder in FOLDERS and path.suffix in (".h", ".cc"):
                    problems += check_file(root, path)
    if files == 0:
        sys.exit("no source file found: the check would pass on nothing")
    print("\n".join(problems) if problems else f"{files} files are tidy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
