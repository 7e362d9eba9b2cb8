#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netns.sh BUILD-DIR: docs/operations.md to the letter. Its blocks are cut out of the page and carried out:
# each machine is a network namespace behind one bridge, with /etc/qfl, /var/lib/qfl and /run/qfl of its own.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || { echo "network namespaces need root" && exit 77; }
tag=qfl$$
ip netns add "$tag-x" 2>/dev/null || { echo "this machine allows no network namespaces" && exit 77; }
ip netns del "$tag-x"
FED_DIR=$E2E_DIR/logs
page=$here/docs/operations.md
declare -A address=([aggregator]=10.88.0.2 [eve]=10.88.0.3 [alice]=10.88.0.10 [bob]=10.88.0.11
    [charlie]=10.88.0.12)
sites=(alice bob charlie)

# ---- the page ------------------------------------------------------------------------------------

# The block number N (from 1) whose first line is "# TITLE".
block() { # TITLE [N]
    awk -v title="# $1" -v wanted="${2:-1}" '
        /^```/ { inside = !inside; first = 1; hit = 0; next }
        inside && first { first = 0; if ($0 == title && ++seen == wanted) { hit = 1; found = 1; next } }
        inside && hit { print }
        END { exit !found }' "$page" || fail "the page has no block \"$1\""
}

# ---- machines ------------------------------------------------------------------------------------

add_machine() { # NAME
    local ns=$tag-$1 folder=$E2E_DIR/$1
    mkdir -p -m 700 "$folder/etc" "$folder/lib" "$folder/run"
    ip netns add "$ns"
    ip -n "$tag-wire" link add "v$1" type veth peer name eth0 netns "$ns"
    ip -n "$tag-wire" link set "v$1" master br0 up
    ip -n "$ns" addr add "${address[$1]}/24" dev eth0
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link set lo up
}

# Becomes a command on a machine: in its network, with its folders and no other machine's.
become() { # MACHINE COMMAND...
    local folder=$E2E_DIR/$1 ns=$tag-$1
    shift
    # shellcheck disable=SC2016 # expanded inside
    exec ip netns exec "$ns" unshare --mount bash -c '
        set -e
        for part in etc var/lib run; do mount -t tmpfs none "/$part"; mkdir "/$part/qfl"; done
        mount --bind "$0/etc" /etc/qfl
        mount --bind "$0/lib" /var/lib/qfl
        mount --bind "$0/run" /run/qfl
        exec "$@"' "$folder" "$@"
}

on() { # MACHINE COMMAND...
    (become "$@")
}

scp() { # -rp FILE... root@ADDRESS:/etc/qfl/
    local to=${*: -1} name
    for name in "${!address[@]}"; do
        [ "$to" = "root@${address[$name]}:/etc/qfl/" ] || continue
        cp -rp "${@:2:$#-2}" "$E2E_DIR/$name/etc/" && return
    done
    fail "scp: no machine $to"
}

start() { # MACHINE PROGRAM
    become "$1" "$2" >>"$FED_DIR/$1-$2.log" 2>&1 &
    echo $! >"$FED_DIR/$1-$2.pid"
    disown
}

remove_machines() {
    local name
    e2e_stop
    for name in "${!address[@]}" wire; do ip netns del "$tag-$name" 2>/dev/null || true; done
}
trap 'remove_machines; e2e_cleanup' EXIT

mkdir -p "$FED_DIR" "$E2E_DIR/bin" "$E2E_DIR/administrator"
for program in server client keypool kme qkdsim; do
    ln -s "$E2E_BUILD"/*/{,*/}"qfl-$program" "$E2E_DIR/bin/" 2>/dev/null || true
done
ln -s "$E2E_BUILD/deploy/ctl/qflctl" "$E2E_DIR/bin/"
PATH=$E2E_DIR/bin:$PATH
ip netns add "$tag-wire"
ip -n "$tag-wire" link add br0 type bridge
ip -n "$tag-wire" link set br0 up
for name in "${!address[@]}"; do add_machine "$name"; done

# ---- what the page says --------------------------------------------------------------------------

cd "$E2E_DIR/administrator"
eval "$(block administrator)" >"$FED_DIR/administrator.log" 2>&1 || fail "the administrator's first block"
eval "$(block administrator 2)" || fail "the administrator's second block"

block "aggregator: /etc/qfl/server.yaml" >"$E2E_DIR/aggregator/etc/server.yaml"
block "eve: /etc/qfl/qkdsim.yaml" >"$E2E_DIR/eve/etc/qkdsim.yaml"
for file in keypool kme client; do
    block "alice: /etc/qfl/$file.yaml" >"$E2E_DIR/alice/etc/$file.yaml"
done

# "Bob's and Charlie's files have their own site, listen, links, peers, and shard."
others() { # SITE
    local site
    for site in "${sites[@]}"; do [ "$site" = "$1" ] || echo "$site"; done
}
links() { # SITE
    local peer pair
    echo links:
    for peer in $(others "$1"); do
        pair=$(printf '%s\n' "$1" "$peer" | sort | paste -sd-)
        if [ "$pair" = alice-charlie ]; then
            echo "  - {peer: $peer, address: ${address[$peer]}:7002, source: {type: file, path: $pair.keys}}"
        else
            echo "  - {peer: $peer, address: ${address[$peer]}:7002, source: {type: sim, address: 10.88.0.3:7001}}"
        fi
    done
}
shard=0
for site in bob charlie; do
    shard=$((shard + 1))
    for file in keypool kme client; do
        sed -e "s/^site: alice/site: $site/" -e "s/^listen: 10.88.0.10/listen: ${address[$site]}/" \
            -e "s/^peers: .*/peers: [$(others $site | paste -sd,)]/" -e "s/shard: 0/shard: $shard/" \
            -e '/^links:/,$d' "$E2E_DIR/alice/etc/$file.yaml" >"$E2E_DIR/$site/etc/$file.yaml"
    done
    links $site >>"$E2E_DIR/$site/etc/kme.yaml"
done
diff <(links alice) <(sed -n '/^links:/,$p' "$E2E_DIR/alice/etc/kme.yaml") ||
    fail "the test's links are not the page's"
for site in alice charlie; do on $site bash -ec "$(block "alice, charlie")"; done

start aggregator qfl-server
start eve qfl-qkdsim
for site in "${sites[@]}"; do
    for program in qfl-keypool qfl-kme qfl-client; do start "$site" $program; done
done

status() {
    on aggregator qflctl status --json
}
pairs_have_key() {
    status | jq -e '(.pairs | length) == 3 and all(.pairs[]; .rounds_left > 0)'
}
wait_for 30 pairs_have_key || fail "no key after 30 s"
on aggregator bash -ec "$(block aggregator)" >"$FED_DIR/aggregator.log"

# The run waits until every operator has approved it.
waiting() { # SITE
    on "$1" qflctl status --control /run/qfl/client-ctl.sock | grep -o 'qflctl approve .*' |
        cut -d' ' -f3
}
for site in "${sites[@]}"; do
    wait_for 20 waiting "$site" || fail "no run waits at $site"
    run=$(waiting "$site")
    on "$site" bash -ec "$(block "alice, bob, charlie" | sed "s/8f3a\.\.\./$run/")" >>"$FED_DIR/approve.log"
done
become aggregator qflctl evaluate --task entanglement --follow /var/lib/qfl/server/checkpoints \
    >"$FED_DIR/evaluate.log" 2>&1 &
echo $! >"$FED_DIR/evaluate.pid"
disown

summed() {
    status | jq -e ".rounds_summed >= $1"
}
wait_for 60 summed 5 || fail "no fifth round"

# "Later": a new certificate for the aggregator, while the run goes on.
cd "$E2E_DIR/administrator"
before=$(openssl x509 -noout -serial -in "$E2E_DIR/aggregator/etc/tls/cert.pem")
eval "$(grep '^qflctl pki renew' "$page")" >>"$FED_DIR/administrator.log"
eval "$(grep '^scp .*aggregator/tls' "$page")"
[ "$(openssl x509 -noout -serial -in "$E2E_DIR/aggregator/etc/tls/cert.pem")" != "$before" ] ||
    fail "the certificate was not renewed"
kill -HUP "$(cat "$FED_DIR/aggregator-qfl-server.pid")"
reloaded() {
    grep -q 'have been read again' "$FED_DIR/aggregator-qfl-server.log"
}
wait_for 10 reloaded || fail "SIGHUP did nothing"

ended() {
    status | jq -e '.ended and .rounds_summed == 80 and (.evaluations | length) == 80'
}
wait_for 120 ended || fail "the run did not end: $(status | jq -c '{phase, rounds_summed, ended}')"
on aggregator qflctl audit 2>/dev/null && fail "the aggregator has a key pool"
for site in "${sites[@]}"; do on "$site" qflctl audit | grep -q ' 0 reused' || fail "audit at $site"; done
[ -z "$(find "$E2E_DIR" -name '*.pair')" ] || fail "a pair's first secret is still on a disk"
[ ! -e "$E2E_DIR/aggregator/lib/server/CACHEDIR.TAG" ] || fail "backups leave out the server's state"
[ -e "$E2E_DIR/alice/lib/keypool/CACHEDIR.TAG" ] || fail "backups would copy a key pool"
echo "docs/operations.md, block by block, on 5 machines: 80 rounds summed"
