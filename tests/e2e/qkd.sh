#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# qkd.sh BUILD-DIR: the simulator of the quantum layer and its operator, at each level of fidelity.
. "$(dirname "$0")/lib.sh"

e2e_configure qkd 1
yaml=$FED_DIR/qkdsim/qkdsim.yaml
qkd=("$QFLCTL" qkd --control "$FED_DIR/qkdsim/ctl.sock")
qkd_set=("$QFLCTL" qkd set --control "$FED_DIR/qkdsim/ctl.sock")

refused() { # PATTERN SETTINGS...
    local pattern=$1 status=0
    shift
    "${qkd_set[@]}" "$@" 2>"$FED_DIR/err" >/dev/null || status=$?
    [ $status -eq 64 ] || fail "qkd set $* ended with $status"
    grep -qE "$pattern" "$FED_DIR/err" || fail "qkd set $*: $(cat "$FED_DIR/err")"
}

eve_of() { # A B: what is done to the link
    "${qkd[@]}" --json | jq -c ".[] | select(.a == \"$1\" and .b == \"$2\") | .eve"
}

for level in rate event pulse; do
    sed -i "s/^level: .*/level: $level/; /^prefill_bits:/d" "$yaml"
    federation_spawn qkdsim "$(federation_program qkdsim)" "$yaml"
    wait_for 10 "${qkd[@]}" || fail "the simulator does not answer"
    "${qkd[@]}" | grep -c 'SIMULATED' | grep -qx 6 || fail "not every link is called SIMULATED"

    # One link, by options or by NAME=VALUE; the others are left alone.
    "${qkd_set[@]}" --link bob-alice --intercept 0.2 --phase-noise 0.1 >"$FED_DIR/said"
    grep -q 'alice-bob .*EVE intercepts 20 %  phase noise 0.1 rad' "$FED_DIR/said" || fail "$(cat "$FED_DIR/said")"
    "${qkd_set[@]}" link=alice-bob phase_noise=0 >/dev/null
    [ "$(eve_of alice bob)" = '{"from_next_block":false,"intercept":0.2,"lie":"none","phase_noise":0}' ] ||
        fail "alice-bob: $(eve_of alice bob)"
    "${qkd[@]}" | grep -c EVE | grep -qx 1 || fail "more than one link is attacked"
    "${qkd[@]}" --json | jq -e '.[0].rate_kbps == 0 and .[1].rate_kbps > 0' >/dev/null || fail "rates"

    # Lies are for levels with an announcement.
    if [ $level = rate ]; then
        refused 'level rate has no announcement' --link all --lie flood
    else
        "${qkd_set[@]}" --link all --lie flood >/dev/null
        "${qkd[@]}" | grep -c 'EVE lies: flood' | grep -qx 6 || fail "not all lie"
    fi
    "${qkd_set[@]}" --link all --intercept 0 --phase-noise 0 --lie none >/dev/null
    ! "${qkd[@]}" | grep -q EVE || fail "Eve is still there"

    refused 'name the link' --intercept 0.2
    refused 'is no link' --link alice-mallory --intercept 0.2
    refused 'must be from 0 to 1' --link alice-bob --intercept 2
    refused "none of Eve's lies" --link alice-bob --lie perhaps
    refused 'what\?'

    "${qkd_set[@]}" --remove-user david >/dev/null
    [ "$("${qkd[@]}" --json | jq length)" -eq 3 ] || fail "david's links are still there"
    "${qkd_set[@]}" --add-user david --speedup 3 >/dev/null
    [ "$("${qkd[@]}" --json | jq length)" -eq 6 ] || fail "david's links have not come back"
    "$QFLCTL" status --control "$FED_DIR/qkdsim/ctl.sock" --json |
        jq -e ".level == \"$level\" and .speedup == 3 and .label == \"SIMULATED\"" >/dev/null || fail "status"
    kill "$(e2e_pid qkdsim)"
    wait_for 10 e2e_is_dead qkdsim || fail "the simulator does not end"
done

# A file without a level means raw clicks.
sed -i '/^level:/d' "$yaml"
"$(federation_program qkdsim)" --config "$yaml" --print-config | grep -q '^level: event' || fail "the default level"
echo "three levels, their links switched one by one"
