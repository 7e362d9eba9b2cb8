#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# round.sh BUILD-DIR [ROUNDS]: a whole round with zero training time: 4 real clients on loopback, 61,706
# parameters, q = 8, prefilled pools (goal: below 100 ms). Prints the median time from OPEN to the last
# upload, and the whole run divided by its rounds, which has everything in it; beside them the time that
# this machine takes, in the same minute, for the durable writes that stand one after the other in a
# round: without them it would not survive a power cut.
. "$(dirname "$0")/../e2e/lib.sh"
rounds=${2:-30}
need=$(((61706 * 8 + 10000) * (rounds + 3)))
FED_PREFILL_BITS=$((need > 4000000 ? need : 4000000))

e2e_configure bench "$rounds" idle
sed -i '/^hook_dir:/d' "$FED_DIR"/*/client.yaml # a hook writes more than the round does
e2e_start
wait_for 120 federation_has_key "$rounds" || fail "too little key for $rounds rounds"
e2e_run_start
started=$(date +%s%N)
wait_for 300 e2e_ended || fail "the run did not end"
each=$((($(date +%s%N) - started) / rounds / 100000))
"$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json | jq -r '
    [.[] | select(.outcome == "summed") | .wall_ms] | sort |
    "round of 4 clients, 61706 parameters, q = 8: OPEN to last upload: median \(.[length / 2 | floor]) ms, min \(.[0]) ms, max \(.[-1]) ms over \(length) rounds (goal: below 100 ms)"'
echo "the whole run divided by its rounds: $((each / 10)).$((each % 10)) ms"
"$E2E_BUILD/tests/bench/sync_bench" "$FED_DIR"
