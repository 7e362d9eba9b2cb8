#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# restored.sh BUILD-DIR: a key pool restored from a backup refuses to run; its operator adopts it, all that
# it held is burnt, the sites are paired again as docs/operations.md says, and the federation goes on.
. "$(dirname "$0")/lib.sh"
E2E_CLIENTS=3

e2e_configure restored 3
e2e_start
alice=$FED_DIR/alice

stop() { # NAME
    kill "$(e2e_pid "$1")"
    wait_for 10 e2e_is_dead "$1" || fail "$1 does not end"
}

run_of_three() {
    e2e_run_start
    wait_for 60 e2e_ended || fail "$1: the run did not end"
    [ "$(e2e_summed)" -eq 3 ] || fail "$1: $(e2e_summed) of 3 rounds were summed"
}

# A backup from before a run, put back after it.
stop alice-keypool
cp -a "$alice/keypool" "$alice/backup"
e2e_restart alice-keypool
wait_for 30 federation_has_key 10 || fail "no key after a restart of the key pool"
run_of_three "before"
stop alice-keypool
rm -rf "$alice/keypool"
mv "$alice/backup" "$alice/keypool"
status=0
"$(federation_program keypool)" --config "$alice/keypool.yaml" 2>"$FED_DIR/refusal" || status=$?
[ $status -eq 65 ] || fail "the restored key pool ended with $status, not 65"
grep -q 'restored from a backup.*qflctl keys adopt' "$FED_DIR/refusal" || fail "$(cat "$FED_DIR/refusal")"

# Adopted (twice does no harm): nothing of what it held is used.
"$QFLCTL" keys adopt --witness "$alice/witness"
"$QFLCTL" keys adopt --witness "$alice/witness"
e2e_restart alice-keypool
empty() {
    "$QFLCTL" keys --control "$alice/keypool-ctl.sock" --json |
        jq -e 'all(.peers[]; .state == "AUTH EMPTY" and .available_bits == 0)'
}
wait_for 10 empty || fail "the adopted key pool still holds key"

# Paired again, while all are running.
for peer in bob charlie; do
    "$QFLCTL" site pair alice $peer --out "$alice/pairings/$peer.pair" \
        --out "$FED_DIR/$peer/pairings/alice.pair" >/dev/null
    kill -HUP "$(e2e_pid $peer-keypool)"
done
kill -HUP "$(e2e_pid alice-keypool)"
wait_for 30 federation_has_key 10 || fail "no key after the sites were paired again"
run_of_three "after"
e2e_check_no_reuse
echo "a restored key pool was refused, adopted, paired again, and used no byte twice"
