#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# operator.sh BUILD-DIR: what qflctl shows of a running federation, and two runs one after the other.
. "$(dirname "$0")/lib.sh"
E2E_CLIENTS=3

e2e_configure operator 3
e2e_start
federation_start_evaluator
ctl=(--control "$FED_DIR/server/ctl.sock")

evaluated() {
    [ "$(federation_status | jq '.evaluations | length')" -eq "$1" ]
}

# Every daemon says what it is.
says() { # PATTERN SOCKET
    "$QFLCTL" status --control "$FED_DIR/$2" | grep -qE "$1" || fail "status of $2 does not say $1"
}
says '^federation demo   run none .* no run' server/ctl.sock
says '^client alice of federation demo   .* server connected   key pool connected' alice/client-ctl.sock
says '^key pool of bob .* KME connected .* simulated keys allowed' bob/keypool-ctl.sock
says '^KME of charlie   key pool connected   2 links' charlie/kme-ctl.sock
says '^simulated quantum layer, level rate .* SIMULATED' qkdsim/ctl.sock

# Every daemon counts.
for socket in server/ctl.sock alice/client-ctl.sock alice/keypool-ctl.sock alice/kme-ctl.sock qkdsim/ctl.sock; do
    "$QFLCTL" metrics --control "$FED_DIR/$socket" | grep -qE '^[^ ]+ +[0-9.e+]+$' || fail "$socket counts nothing"
done

# A first run and a second one, each evaluated from its first round on.
e2e_run_start
wait_for 60 e2e_ended || fail "the first run did not end"
wait_for 120 evaluated 3 || fail "the first run was not evaluated"
first=$(federation_status | jq -r .run)
e2e_run_start
wait_for 60 e2e_ended || fail "the second run did not end"
[ "$(federation_status | jq -r .run)" != "$first" ] || fail "the second run has the first one's name"
wait_for 120 evaluated 3 || fail "the second run was not evaluated"
says '3 rounds summed, 0 skipped   model .*-00000003.qflm' server/ctl.sock

# The model that the run ended with, by itself; a model of another task is refused.
model=$(federation_status | jq -r .checkpoint)
"$QFLCTL" evaluate --task entanglement --seed 7 --checkpoint "$model" | grep -q '^round     3  loss' ||
    fail "the model cannot be evaluated"
"$QFLCTL" evaluate --task magic --checkpoint "$model" 2>"$FED_DIR/err" && fail "a model of another task passed"
grep -q 'is a model of the task entanglement, not of magic' "$FED_DIR/err" || fail "$(cat "$FED_DIR/err")"

# watch without a terminal does not ask more often than it should, and shows no control sequences.
lines=$({ timeout 1 "$QFLCTL" watch "${ctl[@]}" --interval-ms 200 --json </dev/null || true; } | wc -l)
[ "$lines" -ge 1 ] && [ "$lines" -le 6 ] || fail "watch asked $lines times in a second"
timeout 1 "$QFLCTL" watch "${ctl[@]}" </dev/null >"$FED_DIR/picture" || true
grep -q 'alice-bob .*rounds left' "$FED_DIR/picture" || fail "watch shows no pairs"
! grep -q $'\033' "$FED_DIR/picture" || fail "watch writes control sequences into a file"

# In a terminal it draws over the whole screen, ends with q, and puts everything back.
{ sleep 1 && printf q; } | timeout 10 script -qec "stty rows 10 cols 40; exec '$QFLCTL' watch ${ctl[*]}" \
    "$FED_DIR/typescript" >/dev/null || fail "watch did not end with q"
grep -q $'\033\\[?1049h' "$FED_DIR/typescript" && grep -q $'\033\\[?1049l' "$FED_DIR/typescript" ||
    fail "watch does not put the terminal back"

e2e_check_no_reuse
e2e_check_sums
echo "two runs, seen by every verb"
