#!/bin/bash
# tests/fuzz/run.sh NAME SECONDS: builds the libFuzzer target NAME (clang, ASan, UBSan, coverage), runs it for SECONDS on a copy of its
# corpus, then prints the line coverage of the module that it tests and, on the last line, executions and the whole's coverage. Fails when it finds anything. New inputs stay in the build
# folder; a failing one is printed with its path.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:?usage: tests/fuzz/run.sh NAME SECONDS}
seconds=${2:?usage: tests/fuzz/run.sh NAME SECONDS}
build=${COFFER_FUZZ_BUILD:-build/fuzz}
source=tests/fuzz/${name}_fuzz.cc
[ -f "$source" ] || { echo "no fuzz target $name: $source is missing" >&2; exit 2; }
read -r -a module <<< "$(sed -n 's,^// module: ,,p' "$source" | tr '\n' ' ')"

[ -f "$build/build.ninja" ] || cmake --preset fuzz -B "$build" > /dev/null
ninja -C "$build" "fuzz_$name" | tail -1
work=$build/corpus/$name
mkdir -p "$work" "$build/found"
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
LLVM_PROFILE_FILE=/dev/null "$build/fuzz_$name" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
  -artifact_prefix="$build/found/$name-" -print_final_stats=1 "$work" "tests/fuzz/corpus/$name" 2> "$build/$name.log" ||
  { tail -40 "$build/$name.log" >&2; exit 1; }
LLVM_PROFILE_FILE=$build/$name.profraw "$build/fuzz_$name" -runs=0 "$work" "tests/fuzz/corpus/$name" 2> /dev/null
llvm-profdata-16 merge -sparse "$build/$name.profraw" -o "$build/$name.profdata"
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log")
llvm-cov-16 report "$build/fuzz_$name" -instr-profile="$build/$name.profdata" "${module[@]}" |
  awk -v executions="$executions" -v seconds="$seconds" '
    NR > 2 && NF >= 10 && $1 != "TOTAL" {print "  " $1 ": " $10 " of " $8 " lines"}
    $1 == "TOTAL" {total = $10}
    END {print executions " executions in " seconds " s, nothing found, " total " of the lines of the module"}'
