# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests share: a small federation with fixed seeds, waiting for conditions,
# killing a process at its n-th durable write.
#
# Usage of a test: tests/e2e/NAME.sh BUILD-DIR; exit 0 passed, 77 skipped with a message, else failed.
set -euo pipefail
shopt -s nullglob
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/federation.sh
. "$here/deploy/federation.sh"

E2E_BUILD=$(realpath "$1")
E2E_DIR=$(mktemp -d "${TMPDIR:-/tmp}/qfl-e2e.XXXXXX")
# A network of its own, so that tests may run side by side.
FED_NET=$(federation_free_net)

e2e_cleanup() {
    local status=$?
    e2e_stop
    [ $status -ne 0 ] && [ -n "${QFL_KEEP:-}" ] && echo "kept: $E2E_DIR" && return
    rm -rf "$E2E_DIR"
}
trap e2e_cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $*" >&2
    local log
    for log in "${FED_DIR:-$E2E_DIR}"/*.log; do
        echo "-- $(basename "$log")" >&2
        tail -n 8 "$log" >&2
    done
    exit 1
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

# A federation of four with seeds of its own, configured but not started; the run waits for its start.
e2e_configure() { # NAME ROUNDS [TASK]
    local site
    federation_init "$E2E_DIR/$1" "$E2E_BUILD"
    mkdir -p "$FED_DIR"
    federation_configure "${E2E_CLIENTS:-4}" "${3:-entanglement}" "$2" '' 7 ''
    for site in "${FED_SITES[@]}"; do
        printf '%-32.32s' "seed of $site" >"$FED_DIR/$site/seed"
        chmod 600 "$FED_DIR/$site/seed"
        sed -i "s/^  shards: .*/&\n  samples: 40/" "$FED_DIR/$site/client.yaml"
    done
}

e2e_stop() {
    local pidfile
    for pidfile in "$E2E_DIR"/*/*.pid; do kill -9 "$(cat "$pidfile")" 2>/dev/null || true; done
    wait 2>/dev/null || true
}

e2e_start() { # [ROUNDS]: starts all but the evaluator, waits until every pair has key for so many
    local site
    federation_spawn qkdsim "$(federation_program qkdsim)" "$FED_DIR/qkdsim/qkdsim.yaml"
    federation_spawn server "$(federation_program server)" "$FED_DIR/server/server.yaml"
    for site in "${FED_SITES[@]}"; do federation_start_site "$site"; done
    wait_for 30 federation_has_key "${1:-10}" || fail "no key after 30 s"
}

e2e_run_start() {
    "$QFLCTL" run start --control "$FED_DIR/server/ctl.sock" >/dev/null
}

# Starts the run, also when the server is killed while it is told to: asks until there is a run.
e2e_has_run() {
    federation_status | jq -e '.run != ""' && return
    e2e_run_start
    return 1
}

e2e_ended() {
    federation_status | jq -e .ended
}

e2e_summed() {
    federation_status | jq .rounds_summed
}

e2e_model_hash() {
    federation_status | jq -r .model_hash
}

# The process started under NAME (a daemon's real pid).
e2e_pid() {
    cat "$FED_DIR/$1.pid"
}

# Kills NAME with SIGKILL at its N-th call of one of SYSCALLS from now on. In the background.
e2e_kill_at() { # NAME N SYSCALLS
    local calls=$3
    strace -f -p "$(e2e_pid "$1")" -o /dev/null -e trace="$calls" \
        -e inject="$calls":signal=SIGKILL:when="$2" 2>"$FED_DIR/strace.err" &
    E2E_STRACE=$!
    wait_for 5 grep -q attached "$FED_DIR/strace.err" || fail "strace could not attach to $1"
}

e2e_is_dead() {
    ! kill -0 "$(e2e_pid "$1")" 2>/dev/null
}

# Starts a dead daemon again, as a supervisor would.
e2e_restart() { # NAME: server, qkdsim, SITE-DAEMON
    local name=$1 site daemon
    case $name in
    server | qkdsim) federation_spawn "$name" "$(federation_program "$name")" "$FED_DIR/$name/$name.yaml" ;;
    *)
        site=${name%-*} daemon=${name##*-}
        federation_spawn "$name" "$(federation_program "$daemon")" "$FED_DIR/$site/$daemon.yaml"
        ;;
    esac
}

# No key byte belongs to two attempts, at either end of any pair.
e2e_audit() {
    local controls=() site
    for site in "${FED_SITES[@]}"; do controls+=(--control "$FED_DIR/$site/keypool-ctl.sock"); done
    "$QFLCTL" audit "${controls[@]}" --json
}

e2e_check_no_reuse() {
    local answer
    answer=$(e2e_audit) || fail "audit: $answer"
    [ "$(jq .reused <<<"$answer")" -eq 0 ] || fail "reused key: $answer"
    [ "$(jq .ranges <<<"$answer")" -gt 0 ] || fail "the audit saw no range: $answer"
}

e2e_check_sums() {
    local answer
    answer=$(federation_check_sums)
    [ "$(jq -r .exact <<<"$answer")" = true ] || fail "a published sum is not exact: $answer"
}
