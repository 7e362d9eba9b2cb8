#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# experiments.sh BUILD [DATA]: every table of docs/experiments.md, made anew.
# DATA holds the public data sets (README.md there); without it their rows are left out.
set -euo pipefail
federate=${1:?usage: experiments.sh BUILD [DATA]}/deploy/tools/federate
data=${2:-}

table() {
    printf '\n### %s\n\n' "$1"
    echo '| task | clients | settings | accuracy | centralised | clipped | largest p dtheta |'
    echo '|---|---|---|---|---|---|---|'
}
row() { "$federate" --row "$@"; }

table 'entanglement: seeds 1 to 10, then 1 to 100'
for seeds in 1..10 1..100; do
    for clients in 3 4; do row --task entanglement --clients $clients --seeds $seeds; done
done
table 'entanglement: the other ansatz, fewer rounds, other widths (seeds 1 to 20)'
for clients in 3 4; do
    row --task entanglement --clients $clients --seeds 1..20 --option ansatz=RZ-RY-RZ
    row --task entanglement --clients $clients --seeds 1..20 --rounds 80
done
for width in '--exact' '--q 8' '--q 8 --rounding nearest'; do
    row --task entanglement --seeds 1..20 $width
done
table 'magic: seeds 1 to 20'
for sampler in biased uniform; do
    for clients in 3 4; do
        row --task magic --clients $clients --seeds 1..20 --option sampler=$sampler
    done
done
[ -n "$data" ] || exit 0
table 'entanglement with the published weights: seeds 1 to 20'
for clients in 3 4; do
    row --task entanglement --clients $clients --seeds 1..20 --data "$data" \
        --option generators=published
done
table 'mnist-qnn: seeds 1 to 3'
for pair in 3-6 0-1 3-9 5-8 4-9; do
    for split in iid 80-60-40-20 sizes one-class; do
        row --task mnist-qnn --data "$data" --seeds 1..3 --option pair=$pair --option split=$split
    done
done
table 'mnist-qnn: widths (seeds 1 to 10)'
for width in '--exact' '--q 8' '--q 6' '--q 8 --rounding nearest'; do
    row --task mnist-qnn --data "$data" --seeds 1..10 --option pair=4-9 $width
done
