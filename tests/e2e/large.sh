#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# large.sh BUILD-DIR: a round with a model of 9,000,000 parameters: its 72 MB wait for every client, more
# than a host lets wait without being told to. Each client makes the new model of the sum, and finds it
# to be the one that the server names.
. "$(dirname "$0")/lib.sh"
E2E_CLIENTS=3
FED_OPTIONS=(parameters=9000000)
FED_PREFILL_BITS=80000000

e2e_configure large 1 idle
sed -i '/^hook_dir:/d' "$FED_DIR"/*/client.yaml # 9,000,000 numbers as text
e2e_start 1
e2e_run_start
wait_for 120 e2e_ended || fail "the run did not end"
[ "$(e2e_summed)" -eq 1 ] || fail "the round was not summed"
for site in "${FED_SITES[@]}"; do
    grep -q "makes the model that the server names" "$FED_DIR/$site-client.log" ||
        fail "$site has no new model"
done
e2e_check_no_reuse
echo "a round of 3 clients with 9000000 parameters"
