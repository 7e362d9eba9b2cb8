#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds, runs every test that gates a change and ends with
# "N passed, N failed, N skipped". Under ten minutes on two cores.
#
#   tests/run.sh [--fast | --all]     --fast: without sanitizers and end-to-end tests
#                                     --all: clang-tidy and valgrind, too
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# shellcheck source=deploy/packages.sh
. deploy/packages.sh

fast=false all=false
case ${1:-} in
--fast) fast=true ;;
--all) all=true ;;
'') ;;
*) sed -n '3,7s/^# \{0,1\}//p' "$0" && [ "$1" = --help ] && exit
    exit 64 ;;
esac

passed=0 failed=0 skipped=0
started=$SECONDS

say() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - started)); }

finish() {
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
    exit
}

# stage NAME COMMAND...: a check that is not a meson test; 77 means skipped.
stage() {
    local name=$1 log
    shift
    log=$(mktemp)
    say "$name"
    "$@" >"$log" 2>&1
    case $? in
    0) passed=$((passed + 1)) && tail -n 1 "$log" ;;
    77) skipped=$((skipped + 1)) && echo "skipped: $(tail -n 1 "$log")" ;;
    *) failed=$((failed + 1)) && echo "FAILED: $name" && tail -n 60 "$log" ;;
    esac
    rm -f "$log"
}

setup() { # DIR MESON-OPTION...
    local dir=$1
    shift
    if [ -d "$dir/meson-private" ]; then
        meson configure "$dir" "$@" >/dev/null
    else
        meson setup "$dir" "$@" >/dev/null
    fi && ninja -C "$dir" -k 0 | tail -n 40
    return "${PIPESTATUS[0]}"
}

# meson_suite NAME DIR MESON-TEST-OPTION...: counts the tests of one run; meson writes one line of JSON
# for each into its log.
meson_suite() {
    local name=$1 dir=$2 results=$2/meson-logs/testlog.json p=0 f=0 s=0 status=0
    shift 2
    say "$name"
    rm -f "$results"
    meson test -C "$dir" --no-rebuild --print-errorlogs "$@" || status=$?
    read -r p f s < <(jq -rs '[
        ([.[] | select(.result == "OK" or .result == "EXPECTEDFAIL")] | length),
        ([.[] | select(.result | IN("OK", "EXPECTEDFAIL", "SKIP") | not)] | length),
        ([.[] | select(.result == "SKIP")] | length)] | @tsv' "$results")
    # Nothing failed, but meson itself did, or no test was there.
    [ "${f:-0}" -gt 0 ] || { [ "$status" -eq 0 ] && [ "${p:-0}" -gt 0 ]; } || f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# shellcheck disable=SC2086 # lists of words
need_packages $QFL_BUILD_PACKAGES $QFL_TEST_PACKAGES || {
    failed=1
    finish
}

say "build"
setup build/check -Dtest_hooks=true || {
    failed=1
    finish
}
but_slow=()
$fast && but_slow=(--no-suite e2e)
meson_suite "unit, simulation, end to end" build/check "${but_slow[@]}"

if ! $fast; then
    stage "the demo, with a build of its own" deploy/demo.sh --clients 3 --rounds 3
    stage "format" tests/lint/format.sh
    say "build with sanitizers"
    if CC=clang setup build/sanitize -Db_sanitize=address,undefined -Db_lundef=false \
        -Dtest_hooks=true; then
        meson_suite "sanitizers" build/sanitize --no-suite e2e --no-suite sim --timeout-multiplier 4
    else
        failed=$((failed + 1))
    fi
fi
if $all; then
    stage "clang-tidy" tests/lint/tidy.sh build/sanitize
    stage "valgrind" tests/lint/valgrind.sh build/check
fi
finish
