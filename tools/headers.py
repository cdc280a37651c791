#!/usr/bin/env python3
"""Compiles each header of the product alone, with the flags of a neighbouring source, so that no header leans on its includer."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

FOLDERS = ["base", "crypto", "store", "raft", "hsm", "seal", "replication", "core", "engines", "actors", "rpc", "http", "server", "cli"]


def include_flags(build):
    """Union of -I, -isystem and -D over all compile commands: enough for a syntax check."""
    flags = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        for i, word in enumerate(words):
            if word.startswith(("-I", "-D")) and word not in flags:
                flags.append(word)
            elif word == "-isystem" and words[i + 1] not in flags:
                flags += ["-isystem", words[i + 1]]
    return flags


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    build = pathlib.Path(sys.argv[1])
    flags = include_flags(build)
    headers = [h for folder in FOLDERS for h in sorted((root / folder).rglob("*.h"))]
    if not headers:
        sys.exit("no header found: the check would pass on nothing")

    def check(header):
        command = ["g++", "-std=c++20", "-fsyntax-only", "-w", "-x", "c++", *flags, str(header)]
        done = subprocess.run(command, capture_output=True, text=True)
        return header.relative_to(root), done.returncode, done.stderr

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, code, errors in pool.map(check, headers):
            if code:
                failed += 1
                print(f"{name} does not stand alone:\n{errors}")
    print(f"{len(headers) - failed} of {len(headers)} headers stand alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
