#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bad_input.sh BUILD-DIR: what an operator gets wrong. Each case: one clear sentence that names what,
# where and what to do, and the right exit status of sysexits.h.
. "$(dirname "$0")/lib.sh"

cases=0

# expect STATUS PATTERN COMMAND...: within 10 s.
expect() {
    local status=$1 pattern=$2 got=0 output
    shift 2
    output=$(timeout 10 "$@" 2>&1) || got=$?
    [ "$got" -eq "$status" ] || fail "$* ended with $got instead of $status: $output"
    grep -qE -- "$pattern" <<<"$output" || fail "$* does not say \"$pattern\": $output"
    cases=$((cases + 1))
}

# changed FILE SED-SCRIPT: a changed copy beside the file; prints its path.
changed() {
    local copy=${1%.yaml}-changed.yaml
    sed "$2" "$1" >"$copy"
    echo "$copy"
}

e2e_configure bad 2
server=$FED_DIR/server/server.yaml
client=$FED_DIR/alice/client.yaml
keypool=$FED_DIR/alice/keypool.yaml
kme=$FED_DIR/alice/kme.yaml
qkdsim=$FED_DIR/qkdsim/qkdsim.yaml
qfl_server=$(federation_program server)
qfl_client=$(federation_program client)
qfl_keypool=$(federation_program keypool)
qfl_kme=$(federation_program kme)
qfl_qkdsim=$(federation_program qkdsim)

# Every file that the demo writes is good, and says so.
expect 0 '' "$qfl_server" --config "$server" --check-config
expect 0 '' "$qfl_client" --config "$client" --check-config
expect 0 '' "$qfl_keypool" --config "$keypool" --check-config
expect 0 '' "$qfl_kme" --config "$kme" --check-config
expect 0 '' "$qfl_qkdsim" --config "$qkdsim" --check-config
expect 0 'federation: *"?demo' "$qfl_server" --config "$server" --print-config

# Command line.
expect 64 'nonsense' "$qfl_server" --nonsense
expect 0 'qfl-client 0' "$qfl_client" --version
expect 66 '/nowhere.yaml' "$qfl_client" --config /nowhere.yaml

# Keys and values: file:line:column.
expect 78 'server-changed.yaml:[0-9]+:[0-9]+: .*rostr.*roster' "$qfl_server" --check-config \
    --config "$(changed "$server" 's/^roster:/rostr:/')"
expect 78 'server-changed.yaml:[0-9]+:[0-9]+: ' "$qfl_server" --check-config \
    --config "$(changed "$server" 's/^  rounds: .*/  rounds: many/')"
expect 78 'keypool-changed.yaml:[0-9]+:[0-9]+: ' "$qfl_keypool" --check-config \
    --config "$(changed "$keypool" 's/^create_kek: .*/create_kek: perhaps/')"
expect 78 'client-changed.yaml.*server' "$qfl_client" --check-config \
    --config "$(changed "$client" '/^server:/d')"
expect 78 'kme-changed.yaml:[0-9]+:[0-9]+: ' "$qfl_kme" --check-config \
    --config "$(changed "$kme" '1s/^/federation: twice\n/')"

# Numbers that do not fit together.
expect 78 'q' "$qfl_server" --check-config --config "$(changed "$server" 's/^  q: .*/  q: 2/')"
expect 78 'block' "$qfl_qkdsim" --check-config \
    --config "$(changed "$qkdsim" 's/^block_s: .*/block_s: 0.5/')"
expect 78 'k_min' "$qfl_client" --check-config --config "$(changed "$client" 's/k_min: 3/k_min: 2/')"

# Files.
expect 66 'nomodel.qflm' "$qfl_server" --config "$(changed "$server" 's#/model.qflm#/nomodel.qflm#')"
chmod 640 "$FED_DIR/alice/tls-client/key.pem"
expect 77 'key.pem.*(group|others|chmod 600)' "$qfl_client" --config "$client"
chmod 600 "$FED_DIR/alice/tls-client/key.pem"

# Certificates.
expect 78 'is for qfl://demo/kme/alice, but' "$qfl_client" --config "$(changed "$client" 's#tls-client#tls-kme#g')"
"$QFLCTL" pki init --dir "$FED_DIR/otherca" --federation other >/dev/null
expect 64 'role' "$QFLCTL" pki issue --ca "$FED_DIR/ca" --role king --site alice --out "$FED_DIR/x"
expect 65 'lower-case' "$QFLCTL" pki issue --ca "$FED_DIR/ca" --role client --site Alice --out "$FED_DIR/x"

# The second file of a pair cannot be written: the first is not left behind.
expect 73 'cannot create .*/nowhere/' "$QFLCTL" site pair alice bob --out "$FED_DIR/x.pair" \
    --out "$FED_DIR/nowhere/y.pair"
[ ! -e "$FED_DIR/x.pair" ] || fail "half of a pairing is left behind"

# A port in use.
python3 - "$FED_SERVER" "$FED_DIR/taken" <<'END' &
import socket, sys, time
host, port = sys.argv[1].split(":")
s = socket.socket(); s.bind((host, int(port))); s.listen()
open(sys.argv[2], "w").close()
time.sleep(60)
END
taken=$!
wait_for 10 test -e "$FED_DIR/taken"
expect 75 "$FED_SERVER.*in use" "$qfl_server" --config "$server"
kill $taken

# Verbs.
expect 64 'no verb' "$QFLCTL" dance
expect 69 'is the daemon running' "$QFLCTL" status --control "$FED_DIR/server/ctl.sock"
expect 64 '3 to 32' "$here/deploy/demo.sh" --clients 2

# The key pool of another site.
federation_spawn bob-keypool "$qfl_keypool" "$FED_DIR/bob/keypool.yaml"
wait_for 10 test -S "$FED_DIR/bob/keypool.sock" || fail "bob's key pool does not start"
expect 78 "the key pool is that of site 'bob', this client is 'alice'" "$qfl_client" --config \
    "$(changed "$client" "s#alice/keypool.sock#bob/keypool.sock#")"
wait_for 10 grep -q 'this is the key pool of site bob, not of alice' "$FED_DIR/bob-keypool.log" ||
    fail "the key pool does not say that it is another site's"
cases=$((cases + 1))
echo "$cases mistakes, each with its sentence and exit status"
