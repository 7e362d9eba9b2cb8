#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A whole federation on this machine: every process real, TLS on, keys labelled SIMULATED.
#
#   deploy/demo.sh [--clients N] [--task NAME] [--rounds N] [--q Q] [--data DIR]
#                  [--option NAME=VALUE ...] [--seed N] [--json FILE] [--keep] [--source chain|rate]
#
# Keys: chain (up to 6 clients without asking) simulates raw events of MDI-QKD, 10 s blocks, which the
# sites' KMEs post-process, the first block of each pair at full speed; rate gives both ends finished key.
#
# Installs the packages it needs, builds with test_hooks (so that the published sums can be compared
# with the clients' own integers; never done in packages), trains, prints a summary, exits 0 and
# leaves nothing running. --keep leaves it running and prints where to look. Options are the task's:
# pair=5-8 and split=80-60-40-20 of mnist-qnn, sampler=uniform of magic, ...
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
# shellcheck source=deploy/packages.sh
. deploy/packages.sh
# shellcheck source=deploy/federation.sh
. deploy/federation.sh

usage() {
    sed -n '3,15s/^# \{0,1\}//p' "$0"
    exit 0
}

refuse() { # STATUS SENTENCE
    echo "demo.sh: $2" >&2
    exit "$1"
}

check_number() { # OPTION LEAST MOST [WHY]
    local value=${!1}
    [[ $value =~ ^[0-9]{1,9}$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "$3" ] ||
        refuse 64 "--$1 takes a number from $2 to $3, not \"$value\"${4:+: $4}"
}

clients=4 task=entanglement rounds='' q='' seed=1 json='' keep=false source=''
data=${QFL_DATA:-}
while [ $# -gt 0 ]; do
    case $1 in
    --option)
        [[ ${2:-} = *=* ]] || refuse 64 "--option takes NAME=VALUE"
        FED_OPTIONS+=("$2")
        shift 2
        ;;
    --clients | --task | --rounds | --q | --data | --seed | --json | --source)
        [ $# -ge 2 ] || refuse 64 "$1 needs a value"
        printf -v "${1#--}" '%s' "$2"
        shift 2
        ;;
    --keep) keep=true && shift ;;
    --help) usage ;;
    *) refuse 64 "unknown option $1; see --help" ;;
    esac
done
check_number clients 3 32 "with two, each would know the other's update"
[ -z "$rounds" ] || check_number rounds 1 1000000
[ -z "$q" ] || check_number q 4 32
check_number seed 0 999999999
case ${source:=$([ "$clients" -le 6 ] && echo chain || echo rate)} in
chain | rate) FED_SOURCE=$source ;;
*) refuse 64 "--source takes chain or rate, not \"$source\"" ;;
esac
if [ -n "$json" ]; then
    json=$(realpath -m "$json")
    [ -d "${json%/*}/" ] && [ ! -d "$json" ] || refuse 73 "--json: no file can be made at $json"
fi
if [ -n "$data" ]; then
    [ -d "$data" ] || refuse 66 "--data: $data is no folder"
    data=$(realpath "$data")
fi

# On a terminal ninja tells its own progress; elsewhere only what went wrong is shown.
build_programs() {
    echo "building with test_hooks (for the comparison of the sums; packages are built without)"
    [ -d "$build/meson-private" ] ||
        meson setup "$build" -Dtest_hooks=true -Dtests=false --buildtype=release >/dev/null
    if [ -t 1 ]; then
        ninja -C "$build" || exit 70
    else
        ninja -C "$build" >"$build/demo-build.log" 2>&1 || { tail -n 40 "$build/demo-build.log" >&2 && exit 70; }
    fi
}

need_packages $QFL_BUILD_PACKAGES $QFL_DEMO_PACKAGES
build=${QFL_BUILD:-$here/build/demo}
[ -n "${QFL_BUILD:-}" ] || build_programs

started=$(date +%s)
FED_NET=${FED_NET:-$(federation_free_net)}
dir=$(mktemp -d "${TMPDIR:-/tmp}/qfl-demo.XXXXXX")
federation_init "$dir" "$build"
leave() {
    local status=$? started=${#FED_PIDS[@]}
    trap '' HUP INT TERM
    $keep && [ $status -eq 0 ] && return
    federation_stop
    if [ $status -eq 0 ] || [ $status -eq 130 ] || [ "$started" -eq 0 ]; then
        rm -rf "$dir"
    else
        echo "logs are in $dir" >&2
    fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' HUP INT TERM

federation_configure "$clients" "$task" "$rounds" "$q" "$seed" "$data"
echo "federation in $dir: ${FED_SITES[*]}; task $task, $FED_ROUNDS rounds, q = $FED_Q; keys SIMULATED ($source)"
federation_start
federation_begin
federation_follow
federation_summary "$started" >"$dir/summary.json"
federation_print_summary "$dir/summary.json"
[ -z "$json" ] || cp "$dir/summary.json" "$json"

[ "$(jq -r .sum_exact "$dir/summary.json")" = true ] || {
    echo "demo.sh: a published sum differs from the sum of the clients' integers" >&2
    exit 70
}
if $keep; then
    echo "left running in $dir"
    echo "  watch:  $QFLCTL watch --control $dir/server/ctl.sock"
    echo "  stop:   kill \$(cat $dir/*.pid) && rm -rf $dir"
fi
