#!/usr/bin/env python3
"""Checks the folder rules of tools/layers.json and prints file and line of each breach.

A folder may include itself, every folder in the rows above, and what stands left of it in its own row. Third-party headers
are allowed where the rules name the folder, in headers and sources apart.
"""
import json
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def load_rules(root):
    rules = json.loads((root / "tools/layers.json").read_text())
    rank = {}
    for row_number, row in enumerate(rules["rows"]):
        for column, folder in enumerate(row):
            if folder in rank:
                sys.exit(f"tools/layers.json: folder {folder} stands twice")
            rank[folder] = (row_number, column)
    return rules, rank


def third_party_breach(rules, folder, is_header, target):
    for prefix, allowed in rules["third_party"].items():
        if target.startswith(prefix):
            places = allowed["headers"] if is_header else allowed["sources"] + allowed["headers"]
            if folder not in places:
                kind = "header" if is_header else "source"
                return f"{prefix}* is not allowed in a {kind} of {folder}/"
            return None
    return None


def check_file(root, path, rules, rank):
    folder = path.relative_to(root).parts[0]
    is_header = path.suffix == ".h"
    seen_exclusive = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        where = f"{path.relative_to(root)}:{number}"
        if quote == '"':
            other = target.split("/")[0]
            if "/" not in target or (other not in rank and other not in rules["free"]):
                yield f'{where}: "{target}" is not a path from the repository\'s root'
                continue
            if other in rules["free"]:
                if folder not in rules["free"]:
                    yield f"{where}: {folder}/ must not include {other}/"
                continue
            if other != folder:
                allowed = rank[other] < rank[folder] and other not in rules["row_forbidden"].get(folder, [])
                if not allowed:
                    yield f"{where}: {folder}/ must not include {other}/"
            continue
        if folder in rules["no_third_party"] and ("/" in target and not target.startswith("sys/")):
            yield f"{where}: {folder}/ has no third-party includes, found <{target}>"
        problem = third_party_breach(rules, folder, is_header, target)
        if problem:
            yield f"{where}: {problem}"
        for group in rules["exclusive"]:
            for prefix in group:
                if target.startswith(prefix):
                    seen_exclusive.setdefault(tuple(group), {})[prefix] = where
    for uses in seen_exclusive.values():
        if len(uses) > 1:
            yield f"{'; '.join(uses.values())}: one file includes two of {', '.join(uses)}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    rules, rank = load_rules(root)
    breaches, files = [], 0
    for folder in rank:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                files += 1
                breaches += check_file(root, path, rules, rank)
    if files == 0:
        sys.exit("no source file found: the check would pass on nothing")
    print("\n".join(breaches) if breaches else f"{files} files keep the layers")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
