#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# uniformity.sh BUILD-DIR: what the aggregator sees, tapped behind TLS.
#
# With zero updates (a learning rate of 1e-12, so that every v is 0 or a canary) and masks on, the uploads are uniform by
# a chi-square test; the mutant client without the mask call fails the same test. With real training,
# no client's quantised vector occurs in any frame.
. "$(dirname "$0")/lib.sh"
tools=$E2E_BUILD/tests/e2e
rounds=30

# run NAME LR: one run with the tap on.
run() {
    e2e_configure "$1" $rounds
    sed -i "s/\"lr\": *[0-9.e-]*/\"lr\": $2/" "$FED_DIR/server/server.yaml"
    export QFL_TAP=$FED_DIR/tap
    e2e_start
    e2e_run_start
    wait_for 90 e2e_ended || fail "$1: the run did not end"
    [ "$(e2e_summed)" -eq $rounds ] || fail "$1: only $(e2e_summed) of $rounds rounds were summed"
}

federation_program() { # the tapped server, and in the mutant's run the client that does not mask
    case $1 in
    server) echo "$tools/qfl-server-tapped" ;;
    client) echo "${E2E_CLIENT:-$E2E_BUILD/client/qfl-client}" ;;
    keypool) echo "$E2E_BUILD/keypool/vault/qfl-keypool" ;;
    kme) echo "$E2E_BUILD/keypool/kme/qfl-kme" ;;
    qkdsim) echo "$E2E_BUILD/keypool/qkdsim/qfl-qkdsim" ;;
    esac
}

run masked 1e-12
"$tools/tapstat" chi "$FED_DIR/tap" || fail "masked uploads of zeros are not uniform"
e2e_stop

E2E_CLIENT=$tools/qfl-client-unmasked
run unmasked 1e-12
! "$tools/tapstat" chi "$FED_DIR/tap" || fail "the mutant without masks passes the test: it cannot fail"
e2e_stop
unset E2E_CLIENT

run trained 0.05
vectors=()
for json in "$FED_DIR"/*/hooks/*.json; do
    "$tools/packwords" "$FED_Q" "$json" >"$json.bin"
    vectors+=("$json.bin")
done
[ ${#vectors[@]} -eq $((rounds * 4)) ] || fail "${#vectors[@]} vectors of $((rounds * 4))"
"$tools/tapstat" find "$FED_DIR/tap" "${vectors[@]}" || fail "a quantised vector left a client in the clear"
