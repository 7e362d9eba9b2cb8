#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# round.sh BUILD-DIR [ROUNDS]: a whole round with zero training time: 4 real clients on loopback, 61,706
# parameters, q = 8, prefilled pools. Prints the median wall time (goal: below 100 ms) beside the
# reference of the same run: the same bytes of durable writes that a round makes.
. "$(dirname "$0")/../e2e/lib.sh"
rounds=${2:-30}
FED_PREFILL_BITS=$((rounds * 61706 * 8 * 2))
E2E_TASK=null
e2e_configure bench "$rounds" null
e2e_start
e2e_run_start
wait_for 300 e2e_ended || fail "the run did not end"
"$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json | jq -r '
    [.[] | select(.outcome == "summed") | .wall_ms] | sort |
    "round of 4 clients, 61706 words, q = 8: median \(.[length / 2 | floor]) ms, min \(.[0]) ms, max \(.[-1]) ms over \(length) rounds (goal: below 100 ms)"'
