#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# chain.sh BUILD-DIR train|without|kill: key from raw events, post-processed by the sites' KMEs, real processes.
#
# train: four sites, 10 s blocks, the first of each link at full speed; the two ends agree on what they
# publish; an intercept of 20 % aborts a link and no other, and it comes back. without: the same intercept
# from the start: training goes on without one of its two sites, and with all when it is over. kill: three sites that
# post-process all the time; a KME, a key pool and the simulator die again and again in the middle of it.
. "$(dirname "$0")/lib.sh"
story=$2
shift 2
FED_SOURCE=chain

links() { # SITE: what its KME says
    "$QFLCTL" qkd --control "$FED_DIR/$1/kme-ctl.sock" --json
}

link_of() { # SITE PEER
    links "$1" | jq -c ".[] | select(.peer == \"$2\")"
}

mask_of() { # SITE PEER
    "$QFLCTL" keys --control "$FED_DIR/$1/keypool-ctl.sock" --json |
        jq -c ".peers[] | select(.peer == \"$2\") | .streams[] | select(.purpose == \"mask\")"
}

for_each_pair() { # COMMAND...: with the two sites behind
    local i j
    for ((i = 0; i < ${#FED_SITES[@]}; i++)); do
        for ((j = i + 1; j < ${#FED_SITES[@]}; j++)); do "$@" "${FED_SITES[$i]}" "${FED_SITES[$j]}" || return; done
    done
}

# Both ends hold the same, and their books are in order.
check_books() { # A B
    local a b
    a=$(mask_of "$1" "$2") b=$(mask_of "$2" "$1")
    [ "$(jq .ingested_bits <<<"$a")" -eq "$(jq .ingested_bits <<<"$b")" ] || fail "$1-$2 hold $a and $b"
    jq -e '.ingested_bits == .available_bits + .reserved_bits + .used_bits + .wasted_bits' <<<"$a" >/dev/null ||
        fail "$1-$2: $a"
}

has_settled() { # A B: no block is undecided, both ends hold the same
    [ "$(mask_of "$1" "$2" | jq .ingested_bits)" -eq "$(mask_of "$2" "$1" | jq .ingested_bits)" ] &&
        link_of "$1" "$2" | jq -e '.undecided_blocks == 0'
}

is_state() { # SITE PEER STATE
    link_of "$1" "$2" | jq -e ".state == \"$3\""
}

# ---- train ----------------------------------------------------------------------------------------

check_report() { # A B
    local a b
    wait_for 15 agree "$1" "$2" || fail "$1 and $2 publish $(link_of "$1" "$2") and $(link_of "$2" "$1")"
    link_of "$1" "$2" | jq -e '.source == "mdi-qkd-event" and .label == "SIMULATED" and .blocks >= 1 and
        .void_blocks == 0 and .total_eps == 3e-10 * .blocks and .last_block.seconds == 10 and
        .last_block.f_ec > 1 and .last_block.f_ec < 1.6 and
        .last_block.e_x > 0.005 and .last_block.e_x < 0.02 and .last_block.e_p < 0.3 and
        .last_block.key_bits > 100000 and (.last_block.stages | length) == 4' >/dev/null ||
        fail "$1-$2: $(link_of "$1" "$2")"
}

agree() { # A B
    [ "$(link_of "$1" "$2" | jq -c '.last_block | [.n, .n_x, .n_y, .leak_bits, .key_bits]')" = \
        "$(link_of "$2" "$1" | jq -c '.last_block | [.n, .n_x, .n_y, .leak_bits, .key_bits]')" ]
}

train() {
    e2e_configure train 5
    e2e_start
    for_each_pair check_report
    "$QFLCTL" keys --control "$FED_DIR/alice/keypool-ctl.sock" --kme "$FED_DIR/alice/kme-ctl.sock" |
        grep -c 'kbit/s  QBER .* f_EC 1.* blocks of 10 s .* SIMULATED' | grep -qx 3 || fail "keys does not show the links"
    timeout 1 "$QFLCTL" watch --control "$FED_DIR/server/ctl.sock" --kme "$FED_DIR/bob/kme-ctl.sock" \
        </dev/null >"$FED_DIR/picture" || true
    grep -q 'bob to alice .*QBER .* f_EC 1' "$FED_DIR/picture" || fail "watch does not show the links"
    local kme
    for kme in /nonexistent "$FED_DIR/bob/kme-ctl.sock"; do
        "$QFLCTL" keys --control "$FED_DIR/alice/keypool-ctl.sock" --kme "$kme" --json |
            jq -e 'all(.peers[]; has("link") | not)' >/dev/null || fail "keys takes links from $kme"
    done
    e2e_run_start
    wait_for 90 e2e_ended || fail "the run did not end"
    [ "$(e2e_summed)" -eq 5 ] || fail "only $(e2e_summed) of 5 rounds were summed"
    e2e_check_no_reuse
    e2e_check_sums

    "$QFLCTL" qkd set --control "$FED_DIR/qkdsim/ctl.sock" --link alice-bob --intercept 0.2 >/dev/null
    wait_for 60 is_state alice bob ABORTED || fail "alice-bob: $(link_of alice bob)"
    wait_for 10 is_state bob alice ABORTED || fail "bob-alice: $(link_of bob alice)"
    link_of alice bob | jq -e '.qber > 0.04 and .qber < 0.07 and (.reason | contains("no key"))' >/dev/null ||
        fail "alice-bob: $(link_of alice bob)"
    is_state alice charlie UP >/dev/null || fail "alice-charlie: $(link_of alice charlie)"
    "$QFLCTL" qkd set --control "$FED_DIR/qkdsim/ctl.sock" --link alice-bob --intercept 0 >/dev/null
    wait_for 60 is_state alice bob UP || fail "alice-bob has not come back: $(link_of alice bob)"
    kill "$(e2e_pid qkdsim)"
    wait_for 60 for_each_pair has_settled || fail "the ends do not agree"
    for_each_pair check_books
    ! grep -hi ' alarm ' "$FED_DIR"/*.log || fail "an alarm"
    echo "five rounds on the chain; ABORTED at 20 %, and back"
}

# ---- without ----------------------------------------------------------------------------------------

rounds_with() { # PARTICIPANTS: summed rounds with so many, and their T
    "$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json |
        jq -c --argjson k "$1" '[.[] | select(.outcome == "summed" and .participants == $k) | .T]'
}

went_on_with() { # PARTICIPANTS T
    rounds_with "$1" | jq -e --argjson t "$2" 'length >= 5 and all(.[]; . == $t)'
}

all_connected() {
    federation_status | jq -e 'all(.clients[]; .connected) and (.clients | length) == 4'
}

# Eve sits on alice-bob from the start: three sites train without one of the two, then all four.
without() {
    local site
    e2e_configure without 100000
    federation_spawn qkdsim "$(federation_program qkdsim)" "$FED_DIR/qkdsim/qkdsim.yaml"
    wait_for 10 "$QFLCTL" qkd set --control "$FED_DIR/qkdsim/ctl.sock" --link alice-bob --intercept 0.2 ||
        fail "the simulator does not answer"
    federation_spawn server "$(federation_program server)" "$FED_DIR/server/server.yaml"
    for site in "${FED_SITES[@]}"; do federation_start_site "$site"; done
    wait_for 60 is_state alice bob ABORTED || fail "alice-bob: $(link_of alice bob)"
    wait_for 30 all_connected || fail "not all clients are there"
    wait_for 60 is_state charlie david UP || fail "charlie-david: $(link_of charlie david)"
    e2e_run_start
    wait_for 60 went_on_with 3 1 || fail "no rounds with three: $("$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" | tail -n 5)"
    [ "$(rounds_with 4)" = '[]' ] || fail "rounds with four although alice and bob have no key"
    "$QFLCTL" qkd set --control "$FED_DIR/qkdsim/ctl.sock" --link alice-bob --intercept 0 >/dev/null
    wait_for 90 went_on_with 4 2 || fail "no rounds with four: $("$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" | tail -n 5)"
    "$QFLCTL" run stop --control "$FED_DIR/server/ctl.sock" >/dev/null
    wait_for 30 e2e_ended || fail "the run does not stop"
    e2e_check_no_reuse
    e2e_check_sums
    echo "$(rounds_with 3 | jq length) rounds with three sites, T = 1; $(rounds_with 4 | jq length) with four, T = 2"
}

# ---- kill -----------------------------------------------------------------------------------------

blocks() { # SITE: of all its links since its KME was started
    links "$1" | jq '[.[].blocks] | add'
}

goes_on() { # SITE
    [ "$(blocks "$1")" -ge "${2:-2}" ]
}

# Dies at its N-th write from now on, is started again, and key flows again.
kill_at() { # VICTIM N
    e2e_kill_at "$1" "$2" write,writev,sendmsg
    wait_for 60 e2e_is_dead "$1" || fail "$1 made fewer than $2 writes"
    wait "$E2E_STRACE" 2>/dev/null || true
    e2e_restart "$1"
    wait_for 60 key_flows || fail "no key after $1 was killed"
}

key_flows() {
    local site
    for site in "${FED_SITES[@]}"; do
        links "$site" | jq -e 'length == 2 and all(.[]; .state | test("UP|LOW"))' >/dev/null || return 1
        total[$site]=$(links "$site" | jq '[.[].ingested_bits] | add')
    done
    for site in "${FED_SITES[@]}"; do
        wait_for 30 has_more "$site" "${total[$site]}" || return 1
    done
}

has_more() { # SITE THAN
    [ "$(links "$1" | jq '[.[].ingested_bits] | add')" -gt "$2" ]
}

kills() {
    command -v strace >/dev/null || { echo "strace is not installed" && exit 77; }
    declare -gA total
    E2E_CLIENTS=3 FED_BLOCK_S=3 FED_SPEEDUP=3
    e2e_configure kill 1
    e2e_start
    local n
    for n in 30 170 410; do kill_at alice-kme $n; done
    for n in 60 290; do kill_at charlie-kme $n; done
    for n in 5 24; do kill_at bob-keypool $n; done
    kill_at qkdsim 100
    kill "$(e2e_pid qkdsim)"
    wait_for 100 for_each_pair has_settled || fail "the ends do not agree"
    for_each_pair check_books
    e2e_check_audit
    ! grep -hi ' alarm ' "$FED_DIR"/*.log || fail "an alarm"
    echo "eight deaths in the middle of post-processing: the pools agree"
}

e2e_check_audit() { # pads too are used once
    [ "$(e2e_audit | jq .reused)" -eq 0 ] || fail "reused key: $(e2e_audit)"
}

case $story in
train) train ;;
without) without ;;
kill) kills ;;
*) fail "no story $story" ;;
esac
