#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netns.sh BUILD-DIR: the multi-machine example of docs/operations.md, each site in a network namespace
# of its own behind one bridge: the demo's files with other addresses, nothing else.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || { echo "network namespaces need root" && exit 77; }
tag=qfl$$
ip netns add "$tag-x" 2>/dev/null || { echo "this machine allows no network namespaces" && exit 77; }
ip netns del "$tag-x"
E2E_CLIENTS=3

federation_address() {
    echo "10.88.0.$(($1 + 10))"
}

# The namespace that a daemon lives in: its site's, or the server's own.
namespace() { # NAME
    echo "$tag-${1%-*}"
}

federation_prefix() {
    echo "ip netns exec $(namespace "$1")"
}

hosts=()
add_host() { # NAME INDEX
    local ns=$tag-$1
    ip netns add "$ns"
    hosts+=("$ns")
    ip -n "$tag-wire" link add "v$2" type veth peer name eth0 netns "$ns"
    ip -n "$tag-wire" link set "v$2" master br0 up
    ip -n "$ns" addr add "$(federation_address "$3")/24" dev eth0
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link set lo up
}

remove_hosts() {
    local ns
    e2e_stop
    for ns in "${hosts[@]}" "$tag-wire"; do ip netns del "$ns" 2>/dev/null || true; done
}
trap 'remove_hosts; e2e_cleanup' EXIT

ip netns add "$tag-wire"
ip -n "$tag-wire" link add br0 type bridge
ip -n "$tag-wire" link set br0 up
add_host server 0 -8
add_host qkdsim 1 -7
for i in 0 1 2; do add_host "$(federation_site_name $i)" $((i + 2)) "$i"; done

e2e_configure netns 3
e2e_start
e2e_run_start
wait_for 60 e2e_ended || fail "the run did not end"
[ "$(e2e_summed)" -eq 3 ] || fail "only $(e2e_summed) of 3 rounds were summed"
e2e_check_sums
e2e_check_no_reuse
echo "3 hosts, a server and the simulator in 5 network namespaces: 3 rounds summed, sums exact"
