#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qflctl keyrate --paper --simulate, with blocks of 3 s instead of 200: all six pairs get a key, every check
# of it holds, and wrong options are refused with a sentence.
set -eu
qflctl=$1

text=$("$qflctl" keyrate --paper --simulate --seconds 3 --json 2>/dev/null)
test "$(printf '%s\n' "$text" | grep -c '"ok": true')" -eq 6
test "$(printf '%s\n' "$text" | grep -c '"keys_identical": true')" -eq 6
test "$(printf '%s\n' "$text" | grep -c '"residual_errors": 0')" -eq 6

"$qflctl" keyrate --paper --simulate --pair AB --seconds 1 2>/dev/null | grep -q '^AB .*identical$'

# Too short for key: the table is there all the same, and the exit status says that it is not as it must be.
if "$qflctl" keyrate --paper --simulate --pair CD --seconds 0.5 >/dev/null 2>&1; then
    exit 1
fi
for wrong in "--simulate --paper --pair XY" "--simulate --paper --f 1.1" "--paper --pair AB" \
    "--simulate --paper --seed -1"; do
    # shellcheck disable=SC2086
    if "$qflctl" keyrate $wrong >/dev/null 2>&1; then
        echo "accepted: $wrong" >&2
        exit 1
    fi
done
