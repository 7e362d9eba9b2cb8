#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deploy/demo.sh keeps its contract: the JSON, more rounds than a server keeps by default, wrong command
# lines, an interrupt in the middle; nothing is left running or lying about.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
QFL_BUILD=$(realpath "$1")
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/qfl-e2e.XXXXXX")
export QFL_BUILD TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$TMPDIR/out" >&2
    exit 1
}

check_nothing_left() {
    ! pgrep -f "$TMPDIR" >/dev/null || fail "$1 left running: $(pgrep -af "$TMPDIR")"
    [ -z "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 -type d)" ] || fail "$1 left a folder"
}

the_summary_holds_what_it_promises() {
    "$here/deploy/demo.sh" --clients 3 --rounds 105 --q 8 --json "$TMPDIR/summary.json" \
        >"$TMPDIR/out" 2>&1 || fail "exit $?"
    jq -e '
        .clients == 3 and .task == "entanglement" and (.rounds | length) == 105 and
        all(.rounds[]; (.round, .loss, .accuracy, .T, .upload_bytes, .key_bits | type) == "number"
            and .participants == 3) and
        (.final.loss, .final.accuracy, .centralised.loss, .centralised.accuracy | type) == "number" and
        .sum_exact == true and (.pairs | length) == 3 and
        all(.pairs[]; .source == "mdi-qkd-event" and .simulated and .rate_kbps > 0 and
            .qber > 0.005 and .qber < 0.02 and .f_ec > 1 and .f_ec < 1.6 and .block_s == 10 and
            .blocks >= 1 and .void_blocks == 0 and .total_eps > 0 and
            .ingested_bits >= .available_bits + .used_bits + .wasted_bits and .used_bits > 0) and
        (.wall_s | type) == "number"' "$TMPDIR/summary.json" >/dev/null || {
        jq . "$TMPDIR/summary.json" >>"$TMPDIR/out"
        fail "the summary lacks something"
    }
    check_nothing_left "the demo"
}

refused() { # STATUS WORDS ARGUMENT...
    local wanted=$1 words=$2 status=0
    shift 2
    "$here/deploy/demo.sh" "$@" >"$TMPDIR/out" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || fail "$*: exit $status, not $wanted"
    grep -qF -- "$words" "$TMPDIR/out" || fail "$*: does not say: $words"
    check_nothing_left "$*"
}

a_daemon_that_dies_takes_the_others_along() {
    local status=0
    "$here/deploy/demo.sh" --clients 3 --source rate --rounds 100000 >"$TMPDIR/out" 2>&1 &
    local pid=$! deadline=$((SECONDS + 60))
    until grep -qE '^ +3 ' "$TMPDIR/out"; do
        [ $SECONDS -lt $deadline ] || fail "no third round after a minute"
        sleep 0.1
    done
    kill -9 "$(cat "$TMPDIR"/qfl-demo.*/server.pid)"
    wait "$pid" || status=$?
    [ "$status" -eq 70 ] || fail "exit $status, not 70"
    grep -q "server has ended" "$TMPDIR/out" || fail "does not name the daemon that has ended"
    rm -rf "$TMPDIR"/qfl-demo.* # kept for its logs
    check_nothing_left "a demo whose server died"
}

wrong_command_lines_are_refused() {
    refused 64 "unknown option --client" --client 3
    refused 64 "--clients takes a number from 3" --clients 2
    refused 64 "--rounds takes a number" --rounds many
    refused 64 "--q takes a number" --q 64
    refused 64 "--json needs a value" --json
    refused 64 "--source takes chain or rate" --source qkd
    refused 64 "no task is called 'entangle'" --task entangle
    refused 66 "/nonexistent is no folder" --task mnist-qnn --data /nonexistent
    refused 66 "no such file" --task mnist-qnn --data "$here/docs"
    refused 64 "no option 'foo'" --option foo=bar
    refused 73 "/nonexistent" --json /nonexistent/summary.json
}

an_interrupt_leaves_nothing() {
    local status=0
    # As a terminal does it: a process group of its own, all of which is told.
    set -m
    "$here/deploy/demo.sh" --rounds 100000 >"$TMPDIR/out" 2>&1 &
    set +m
    local pid=$! deadline=$((SECONDS + 60))
    until grep -qE '^ +3 ' "$TMPDIR/out"; do
        [ $SECONDS -lt $deadline ] || fail "no third round after a minute"
        sleep 0.1
    done
    kill -INT -- -"$pid"
    wait "$pid" || status=$?
    [ "$status" -eq 130 ] || fail "interrupted: exit $status, not 130"
    check_nothing_left "an interrupted demo"
}

the_summary_holds_what_it_promises
wrong_command_lines_are_refused
a_daemon_that_dies_takes_the_others_along
an_interrupt_leaves_nothing
echo "the demo keeps its contract"
