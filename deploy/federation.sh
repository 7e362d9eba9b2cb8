# SPDX-License-Identifier: Apache-2.0
# A federation of real processes in one directory: configuration, start, progress, summary, stop.
# Sourced by demo.sh and by the end-to-end tests.
#
# Each site has its own folder and its own 127.0.0.x address; the same files with other addresses are
# the multi-machine example in docs/operations.md.

FED_NAMES=(alice bob charlie david erin frank grace heidi ivan judy karl laura mallory niaj olivia
    peggy quentin rupert sybil trent ursula victor wendy xavier yvonne zoe)

federation_init() { # DIR BUILD
    FED_DIR=$1
    FED_BUILD=$2
    QFLCTL=$FED_BUILD/deploy/ctl/qflctl
    FED_PIDS=()
    FED_OPTIONS=(${FED_OPTIONS[@]+"${FED_OPTIONS[@]}"})
}

federation_site_name() { # INDEX
    if [ "$1" -lt ${#FED_NAMES[@]} ]; then echo "${FED_NAMES[$1]}"; else printf 'site%02d\n' "$1"; fi
}

# A network 127.N.0.0/24 in which nobody listens, N from 88 to 247: others may be running, and those that
# begin in the same moment, with another process number, look elsewhere first.
federation_free_net() {
    local net i
    for ((i = 0; i < 160; i++)); do
        net=$((88 + ($$ + i) % 160))
        grep -q "^ *[0-9]*: ..00$(printf %02X "$net")7F:" /proc/net/tcp || break
    done
    echo "$net"
}

# Site INDEX; the server is -8, the simulator -7.
federation_address() { # INDEX
    echo "127.${FED_NET:-88}.0.$(($1 + 10))"
}

# Writes every file of the federation. Empty arguments take the task's defaults; FED_OPTIONS holds the
# task's own options, NAME=VALUE.
federation_configure() { # CLIENTS TASK ROUNDS Q SEED DATA
    FED_CLIENTS=$1 FED_TASK=$2 FED_SEED=$5 FED_DATA=$6
    local defaults i
    FED_SITES=()
    for ((i = 0; i < FED_CLIENTS; i++)); do FED_SITES+=("$(federation_site_name "$i")"); done
    mapfile -t FED_SITES < <(printf '%s\n' "${FED_SITES[@]}" | sort)
    FED_TASK_ARGS=(--seed "$FED_SEED" ${FED_DATA:+--data "$FED_DATA"}
        "${FED_OPTIONS[@]/#/--option=}")
    defaults=$("$QFLCTL" task show "$FED_TASK" "${FED_TASK_ARGS[@]}" --json)
    FED_ROUNDS=${3:-$(jq -r .rounds <<<"$defaults")}
    FED_Q=${4:-$(jq -r .q <<<"$defaults")}
    FED_SERVER=$(federation_address -8):7000
    FED_SIM=$(federation_address -7):7001
    "$QFLCTL" pki init --dir "$FED_DIR/ca" --federation demo >/dev/null
    federation_write_server "$defaults"
    federation_write_sim
    for ((i = 0; i < FED_CLIENTS; i++)); do federation_write_site "$i" "$defaults"; done
    federation_pair_sites
}

federation_issue() { # ROLE SITE FOLDER
    "$QFLCTL" pki issue --ca "$FED_DIR/ca" --role "$1" --site "$2" --out "$3" >/dev/null
}

federation_tls() { # FOLDER
    printf 'tls: {certificate: %s/cert.pem, key: %s/key.pem, ca: %s/ca/ca.pem}\n' "$1" "$1" "$FED_DIR"
}

federation_write_server() { # DEFAULTS-JSON
    local dir=$FED_DIR/server
    mkdir -p "$dir"
    federation_issue server aggregator "$dir/tls"
    "$QFLCTL" task init "$FED_TASK" "${FED_TASK_ARGS[@]}" --federation demo --out "$dir/model.qflm" >/dev/null
    cat >"$dir/server.yaml" <<END
federation: demo
site: aggregator
listen: $FED_SERVER
$(federation_tls "$dir/tls")
state: $dir/state
control: $dir/ctl.sock
keep_checkpoints: $FED_ROUNDS
roster: [$(IFS=,; echo "${FED_SITES[*]}")]
run:
  task: $FED_TASK
  trainer: $(jq -r .trainer <<<"$1")
  model: $dir/model.qflm
  rounds: $FED_ROUNDS
  min_clients: 3
  wait_s: 10
  start: manual
  exit: false
  q: $FED_Q
  clip: $(jq -r .clip <<<"$1")
  rounding: stochastic
  settings: $(jq -c .settings <<<"$1")
${FED_SERVER_EXTRA:-}
END
}

federation_write_sim() {
    local dir=$FED_DIR/qkdsim network
    # Three sites have the links of the paper's 4-client network among them (its 3-client table has
    # no link between the second and the third); more sites than the paper's all have one like AD.
    case $FED_CLIENTS in
    3) network=$(printf 'links:\n  - {a: %s, b: %s, like: paper-4-AB}\n  - {a: %s, b: %s, like: paper-4-AC}\n  - {a: %s, b: %s, like: paper-4-BC}' \
        "${FED_SITES[0]}" "${FED_SITES[1]}" "${FED_SITES[0]}" "${FED_SITES[2]}" \
        "${FED_SITES[1]}" "${FED_SITES[2]}") ;;
    4) network="network: paper-4" ;;
    *) network="default_link: {like: paper-4-AD}" ;;
    esac
    mkdir -p "$dir"
    federation_issue qkdsim eve "$dir/tls"
    cat >"$dir/qkdsim.yaml" <<END
federation: demo
site: eve
listen: $FED_SIM
$(federation_tls "$dir/tls")
state: $dir/state
control: $dir/ctl.sock
$network
users: [$(IFS=,; echo "${FED_SITES[*]}")]
block_s: ${FED_BLOCK_S:-10}
speedup: ${FED_SPEEDUP:-1}
$(federation_level)
END
}

# FED_SOURCE=rate (the default): finished key from the simulator, the fast path for many sites. chain: raw
# events, post-processed by the sites' KMEs; the first block of each link comes at full speed.
federation_level() {
    if [ "${FED_SOURCE:-rate}" = chain ]; then
        printf 'level: event\nfull_speed_blocks: %s\n' "${FED_FULL_SPEED_BLOCKS:-1}"
    else
        printf 'level: rate\nprefill_bits: %s\n' "${FED_PREFILL_BITS:-2000000}"
    fi
}

# Where a link's key comes from: the simulator, or with FED_SOURCE=file recorded keys.
federation_source() { # SITE PEER
    case ${FED_SOURCE:-rate} in
    file) printf '{type: file, path: %s.keys}' "$(printf '%s\n' "$1" "$2" | sort | paste -sd-)" ;;
    chain) printf '{type: mdi-qkd, address: %s}' "$FED_SIM" ;;
    *) printf '{type: sim, address: %s}' "$FED_SIM" ;;
    esac
}

federation_write_site() { # INDEX DEFAULTS-JSON
    local site=${FED_SITES[$1]} dir=$FED_DIR/${FED_SITES[$1]} peers=() links='' i
    mkdir -p "$dir/pairings"
    federation_issue client "$site" "$dir/tls-client"
    federation_issue kme "$site" "$dir/tls-kme"
    for ((i = 0; i < FED_CLIENTS; i++)); do
        [ "$i" -eq "$1" ] && continue
        peers+=("${FED_SITES[$i]}")
        links+="  - {peer: ${FED_SITES[$i]}, address: $(federation_address "$i"):7002, source: $(federation_source "$site" "${FED_SITES[$i]}")}"$'\n'
    done
    cat >"$dir/keypool.yaml" <<END
site: $site
state: $dir/keypool
kek: $dir/kek
create_kek: true
witness: $dir/witness
socket: $dir/keypool.sock
kme_socket: $dir/keypool-kme.sock
control: $dir/keypool-ctl.sock
pairings: $dir/pairings
allow_simulated_keys: true
END
    cat >"$dir/kme.yaml" <<END
federation: demo
site: $site
listen: $(federation_address "$1"):7002
$(federation_tls "$dir/tls-kme")
keypool: $dir/keypool-kme.sock
state: $dir/kme
control: $dir/kme-ctl.sock
links:
$links
${FED_KME_EXTRA:-}
END
    cat >"$dir/client.yaml" <<END
federation: demo
site: $site
server: $FED_SERVER
$(federation_tls "$dir/tls-client")
keypool: $dir/keypool.sock
state: $dir/client
control: $dir/client-ctl.sock
seed: $dir/seed
peers: [$(IFS=,; echo "${peers[*]}")]
policy: {k_min: 3, t_min: 1, runs: any, task: $FED_TASK, q_min: 4, q_max: 32, clip_max: $(jq -r .clip <<<"$2")}
task:
  name: $FED_TASK
  shard: $1
  shards: $FED_CLIENTS
  seed: $FED_SEED
${FED_DATA:+  data: $FED_DATA}
$(printf '%s\n' "${FED_OPTIONS[@]}" | sed -n 's/^\([^=]*\)=\(.*\)/  \1: \2/p')
trainer: {name: $(jq -r .trainer <<<"$2")}
hook_dir: $dir/hooks
END
    mkdir -p "$dir/hooks"
}

federation_pair_sites() {
    local i j a b
    for ((i = 0; i < FED_CLIENTS; i++)); do
        for ((j = i + 1; j < FED_CLIENTS; j++)); do
            a=${FED_SITES[$i]} b=${FED_SITES[$j]}
            "$QFLCTL" site pair "$a" "$b" --out "$FED_DIR/$a/pairings/$b.pair" \
                --out "$FED_DIR/$b/pairings/$a.pair" >/dev/null
        done
    done
}

# What a daemon of a site is started with; tests put each site into its own network namespace.
federation_prefix() { # NAME
    :
}

federation_spawn() { # NAME PROGRAM CONFIG
    # A session of its own: a terminal's Ctrl-C is for the script, which stops the daemons in order.
    # shellcheck disable=SC2046
    setsid $(federation_prefix "$1") "$2" --config "$3" >>"$FED_DIR/$1.log" 2>&1 &
    echo $! >"$FED_DIR/$1.pid"
    FED_PIDS+=($!)
    disown
}

federation_program() { # NAME
    case $1 in
    server) echo "$FED_BUILD/server/qfl-server" ;;
    client) echo "$FED_BUILD/client/qfl-client" ;;
    keypool) echo "$FED_BUILD/keypool/vault/qfl-keypool" ;;
    kme) echo "$FED_BUILD/keypool/kme/qfl-kme" ;;
    qkdsim) echo "$FED_BUILD/keypool/qkdsim/qfl-qkdsim" ;;
    esac
}

federation_start_site() { # SITE
    local daemon
    for daemon in keypool kme client; do
        federation_spawn "$1-$daemon" "$(federation_program $daemon)" "$FED_DIR/$1/$daemon.yaml"
    done
}

federation_start() {
    local site
    federation_spawn qkdsim "$(federation_program qkdsim)" "$FED_DIR/qkdsim/qkdsim.yaml"
    federation_spawn server "$(federation_program server)" "$FED_DIR/server/server.yaml"
    for site in "${FED_SITES[@]}"; do federation_start_site "$site"; done
    federation_start_evaluator
}

federation_start_evaluator() {
    setsid "$QFLCTL" evaluate --task "$FED_TASK" "${FED_TASK_ARGS[@]}" \
        --follow "$FED_DIR/server/state/checkpoints" --control "$FED_DIR/server/ctl.sock" \
        >>"$FED_DIR/evaluate.log" 2>&1 &
    echo $! >"$FED_DIR/evaluate.pid"
    FED_PIDS+=($!)
    disown
}

federation_status() {
    "$QFLCTL" status --control "$FED_DIR/server/ctl.sock" --json 2>/dev/null
}

# Every pair has key for at least N rounds, as the aggregator sees it.
federation_has_key() { # N
    federation_status | jq -e --argjson n "$1" --argjson sites "$FED_CLIENTS" \
        '(.pairs | length) == $sites * ($sites - 1) / 2 and all(.pairs[]; .rounds_left >= $n)' >/dev/null
}

# Waits until all are there and every pair has key, then starts a run with start: manual.
federation_begin() {
    local deadline=$((SECONDS + 60))
    echo "waiting until every client is there and every pair has key"
    until federation_has_key 1; do
        federation_check_alive || return 70
        [ $SECONDS -lt $deadline ] || {
            echo "after 60 s not every pair has key:" >&2
            "$QFLCTL" status --control "$FED_DIR/server/ctl.sock" >&2
            return 75
        }
        sleep 0.1
    done
    "$QFLCTL" run start --control "$FED_DIR/server/ctl.sock" >/dev/null
}

# Names a daemon that has ended, with the end of its log.
federation_check_alive() {
    local pidfile name
    for pidfile in "$FED_DIR"/*.pid; do
        name=$(basename "$pidfile" .pid)
        kill -0 "$(cat "$pidfile")" 2>/dev/null && continue
        echo "$name has ended:" >&2
        tail -n 5 "$FED_DIR/$name.log" >&2
        return 1
    done
}

# Every summed round has its loss and accuracy.
federation_is_evaluated() {
    "$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json |
        jq -e 'all(.[] | select(.outcome == "summed"); has("loss"))' >/dev/null
}

# The pairs' key is a column each as long as they fit a line; else only the pair with the least is shown.
FED_COLUMNS=6

# Two lines above the progress: what the columns are, and how fast each pair's key grows.
federation_print_header() {
    federation_rates | jq -r --argjson most $FED_COLUMNS '
        if length > 0 and length <= $most then (to_entries[] | [.key, .value] | @tsv)
        else "least of \(length) pairs" end' |
        awk -F'\t' 'BEGIN { names = sprintf("%6s %9s %9s", "round", "loss", "accuracy"); rates = sprintf("%26s", "") }
            { w = length($1) > 11 ? length($1) : 11; names = names sprintf("  %*s", w, $1)
              rates = rates sprintf("  %*s", w, $2 == "" ? "" : sprintf("%.1f kbit/s", $2)) }
            END { print names "  key left, kbit"; if (rates ~ /[^ ]/) print rates }'
}

# Each round newer than SHOWN in a STATUS.
federation_print_rounds() { # STATUS SHOWN
    jq -r --argjson shown "$2" --argjson most $FED_COLUMNS '
        (if (.pairs | length) <= $most then .pairs else [.pairs | min_by(.available_bits)] end |
            map(.pair, .available_bits / 1000)) as $keys |
        .evaluations[] | select(.round > $shown) | [.round, .loss, .accuracy] + $keys | @tsv' <<<"$1" |
        awk -F'\t' '{ printf "%6d %9.4f %9.4f", $1, $2, $3
            for (i = 4; i < NF; i += 2) printf "  %*.0f", (length($i) > 11 ? length($i) : 11), $(i + 1)
            print "" }'
}

# One line per finished round until the run has ended and its last model is evaluated.
federation_follow() {
    local shown=0 status idle=0
    federation_print_header
    while :; do
        federation_check_alive || return 70
        status=$(federation_status) || { sleep 0.2 && continue; }
        federation_print_rounds "$status" "$shown"
        shown=$(jq --argjson shown "$shown" '[.evaluations[].round, $shown] | max' <<<"$status")
        if [ "$(jq -r .ended <<<"$status")" = true ]; then
            federation_is_evaluated && return 0
            idle=$((idle + 1))
            [ $idle -le 300 ] || {
                echo "the evaluator did not finish:" >&2
                tail -n 5 "$FED_DIR/evaluate.log" >&2
                return 70
            }
        fi
        sleep 0.2
    done
}

# {"SITE-SITE": kbit/s} by the finite-key formula, as the simulator knows it; {} without one.
federation_rates() {
    "$QFLCTL" qkd --control "$FED_DIR/qkdsim/ctl.sock" --json 2>/dev/null |
        jq 'map({key: ([.a, .b] | sort | join("-")), value: .rate_kbps}) | from_entries' || echo '{}'
}

# {"SITE-SITE": what the KMEs measured of the pair's last block}; QBER in basis X. At level rate there is no
# f_EC, and the rate is the simulator's.
federation_links() {
    local site
    for site in "${FED_SITES[@]}"; do
        "$QFLCTL" qkd --control "$FED_DIR/$site/kme-ctl.sock" --json | jq --arg site "$site" '
            map(select($site < .peer) | {key: "\($site)-\(.peer)", value: {
                state, rate_kbps: (if .formula_kbps > 0 then .formula_kbps else null end),
                qber: (if .block_s > 0 then .qber else null end), f_ec: .last_block.f_ec,
                block_s: (if .block_s > 0 then .block_s else null end), blocks, void_blocks,
                total_eps}})'
    done | jq -s 'add | from_entries'
}

# The JSON of the demo's contract, on stdout.
federation_summary() { # STARTED-EPOCH
    local rounds keys rates links centralised sums site
    rounds=$("$QFLCTL" rounds --control "$FED_DIR/server/ctl.sock" --json)
    centralised=$("$QFLCTL" evaluate --task "$FED_TASK" "${FED_TASK_ARGS[@]}" \
        --centralised --clients "$FED_CLIENTS" --rounds "$FED_ROUNDS" --json)
    sums=$(federation_check_sums) || [ $? -eq 65 ]
    keys=$(for site in "${FED_SITES[@]}"; do
        "$QFLCTL" keys --control "$FED_DIR/$site/keypool-ctl.sock" --json
    done | jq -s .)
    rates=$(federation_rates)
    links=$(federation_links)
    jq -n --argjson rates "$rates" --argjson links "$links" --argjson rounds "$rounds" --argjson keys "$keys" \
        --argjson centralised "$centralised" --argjson sums "$sums" \
        --arg task "$FED_TASK" --argjson clients "$FED_CLIENTS" \
        --argjson wall "$(($(date +%s) - $1))" '
        [$rounds[] | select(.outcome == "summed") | {
            round, loss, accuracy, participants, T, upload_bytes, key_bits, wall_ms}] as $summed |
        {
            clients: $clients, task: $task,
            rounds: $summed,
            skipped: [$rounds[] | select(.outcome == "skipped") | {round, reason}],
            final: ($summed | last | {loss, accuracy}),
            centralised: ($centralised | {loss, accuracy}),
            sum_exact: ($sums.exact and $sums.rounds == ($summed | length)), sums_compared: $sums.rounds,
            pairs: [$keys[] | .site as $site | .peers[] | select($site < .peer) |
                (.streams[] | select(.purpose == "mask")) as $mask |
                "\($site)-\(.peer)" as $pair | ($links[$pair] // {}) as $link | {
                pair: $pair, source, simulated,
                rate_kbps: ($link.rate_kbps // $rates[$pair]),
                qber: $link.qber, f_ec: $link.f_ec, block_s: $link.block_s, blocks: $link.blocks,
                void_blocks: $link.void_blocks, total_eps: $link.total_eps,
                ingested_bits: $mask.ingested_bits, available_bits: $mask.available_bits,
                used_bits: $mask.used_bits, wasted_bits: $mask.wasted_bits}],
            wall_s: $wall
        }'
}

# Adds up the integers that the clients wrote (test_hooks) and compares them with the published sums.
federation_check_sums() {
    local hooks=() site
    for site in "${FED_SITES[@]}"; do hooks+=(--hooks "$FED_DIR/$site/hooks"); done
    "$QFLCTL" audit sums --control "$FED_DIR/server/ctl.sock" "${hooks[@]}" --json
}

federation_print_summary() { # JSON-FILE
    jq -r '
        def four: if . == null then "none" else . * 10000 | round / 10000 end;
        "\n\(.clients) clients, \(.task): \(.rounds | length) rounds in \(.wall_s) s, \(.skipped | length) skipped",
        "final       loss \(.final.loss | four)  accuracy \(.final.accuracy | four)",
        "centralised loss \(.centralised.loss | four)  accuracy \(.centralised.accuracy | four)",
        "published sums equal the sums of the clients'"'"' integers: \(.sum_exact) (\(.sums_compared) rounds)",
        "upload \(.rounds[0].upload_bytes) bytes per client and round, round time \(([.rounds[].wall_ms] | sort)[(.rounds | length) / 2 | floor]) ms (median)",
        "",
        "pair              source                   kbit/s  QBER %   f_EC  block s   ingested  available       used   wasted (kbit)",
        (.pairs[] | [.pair, .source + (if .simulated then " SIMULATED" else "" end), .rate_kbps,
            (if .qber then .qber * 100 else null end), .f_ec, .block_s,
            (.ingested_bits, .available_bits, .used_bits, .wasted_bits | . / 1000)] | @tsv)' "$1" |
        awk -F'\t' 'function known(format, v) { return v == "" ? "-" : sprintf(format, v) }
            NF < 3 { print; next }
            { printf "%-17s %-23s %7s %7s %6s %8s %10.1f %10.1f %10.1f %8.1f\n", $1, $2, known("%.1f", $3),
                known("%.2f", $4), known("%.3f", $5), known("%g", $6), $7, $8, $9, $10 }'
}

federation_stop() {
    local pid
    for pid in "${FED_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${FED_PIDS[@]}"; do
        timeout 10 tail --pid="$pid" -f /dev/null 2>/dev/null || kill -9 "$pid" 2>/dev/null || true
    done
    FED_PIDS=()
    return 0
}
