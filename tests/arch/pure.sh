#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A core is a function of its events: it reaches no socket, clock, file, thread, process, event loop or
# random source. So each symbol that a core library leaves undefined is defined by a core or stands in
# allowed.txt.
#
#   pure.sh NM LIBRARY...                     fails and names what a core reaches beyond that
#   pure.sh --names 'SYMBOL...' NM LIBRARY    succeeds if each of these symbols is refused
set -euo pipefail
allowed=$(dirname "$0")/allowed.txt
names=
if [ "$1" = --names ]; then
    names=$2
    shift 2
fi
nm=$1
shift

# LIBRARY/OBJECT SYMBOL for each undefined one. `nm -A` writes libx.a:object: in front, with folders.
undefined() {
    "$nm" -A -u "$@" |
        sed -nE 's|^(.*/)?lib([^/:]+)\.a:(.*/)?([^:/]+)\.o: +[A-Za-z] |\2/\4 |p' | sort -u
}

# Keeps what no core defines and no pattern allows.
refuse() { # DEFINED
    awk -v patterns="$allowed" -v defined="$1" '
        BEGIN {
            while ((getline line < patterns) > 0) {
                if (line ~ /^#/ || line == "") continue
                if (split(line, part, ": ") == 2) own[part[1]] = "^(" part[2] ")$"
                else every = every (every == "" ? "" : "|") line
            }
            every = "^(" every ")$"
            while ((getline line < defined) > 0) known[line] = 1
        }
        $2 in known || $2 ~ every || ($1 in own && $2 ~ own[$1]) { next }
        { print }'
}

defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
"$nm" --defined-only --format=posix "$@" | awk 'NF > 2 { print $1 }' | sort -u >"$defined"
[ -s "$defined" ] || { echo "no symbols in $*" && exit 1; }
refused=$(undefined "$@" | refuse "$defined")

if [ -n "$names" ]; then
    for name in $names; do
        grep -qE " $name(64)?\$" <<<"$refused" || { echo "$name is not refused" && exit 1; }
    done
    echo "refused as it should be: $names"
elif [ -n "$refused" ]; then
    sed -E 's/ (.*)/ uses \1, which no core defines and allowed.txt does not allow/' <<<"$refused"
    exit 1
else
    echo "$# cores are pure"
fi
