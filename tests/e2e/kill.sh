#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill.sh BUILD-DIR VICTIM: SIGKILL at each protocol phase, real processes.
#
# The victim is killed at its n-th durable write after the start of the run, for every n that a round
# has, and at a few network writes; it is started again at once. Each time: the run ends, no key byte
# is used twice, every sum is exact, and where no update was lost the final model is bit-equal to the
# undisturbed run's.
. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || { echo "strace is not installed" && exit 77; }
victim=$2
shift 2
rounds=3

# One run; kills unless N is 0. Leaves the federation up for the checks.
run_once() { # NAME N SYSCALLS
    e2e_configure "$1" $rounds
    e2e_start
    if [ "$2" -gt 0 ]; then
        e2e_kill_at "$victim" "$2" "$3"
        e2e_run_start 2>/dev/null || true
        if wait_for 20 e2e_is_dead "$victim"; then
            wait "$E2E_STRACE" 2>/dev/null || true
            e2e_restart "$victim"
        else
            kill "$E2E_STRACE" 2>/dev/null || true
            echo "  $victim made fewer than $2 calls of $3"
        fi
    else
        e2e_run_start
    fi
    wait_for 20 e2e_has_run || fail "$1: the run does not start"
    wait_for 90 e2e_ended || fail "$1: the run did not end"
}

# True when all four took part in every round with their first update.
no_update_lost() {
    local rows
    rows=$("$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json)
    jq -e --argjson n $rounds '[.[] | select(.outcome == "summed")] |
        length == $n and all(.[]; .participants == 4)' <<<"$rows" >/dev/null &&
        [[ $victim != *-client ]] 
}

check() { # NAME
    e2e_check_no_reuse
    e2e_check_sums
    if no_update_lost; then
        [ "$(e2e_model_hash)" = "$reference" ] || fail "$1: the final model differs from the undisturbed run's"
        echo "  $1: no key reused, sums exact, final model bit-equal"
    else
        echo "  $1: no key reused, sums exact, $(e2e_summed) of $rounds rounds summed"
    fi
    e2e_stop
}

run_once undisturbed 0 ''
reference=$(e2e_model_hash)
check undisturbed

case $victim in
server) durable=(1 2 3 4 5) writes=(5 40) ;;
*-client) durable=(1 2 3 4) writes=(10) ;;
*-keypool) durable=(1 2 3) writes=(6) ;;
*) durable=() writes=(3 10) ;;
esac
for n in "${durable[@]}"; do
    run_once "durable-$n" "$n" fdatasync,fsync
    check "durable write $n"
done
for n in "${writes[@]}"; do
    run_once "write-$n" "$n" write,writev,sendmsg
    check "network write $n"
done
echo "$victim survives $((${#durable[@]} + ${#writes[@]})) kills"
