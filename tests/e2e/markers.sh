#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# markers.sh BUILD-DIR: recorded keys (source `file`) as markers. After a run, while everything is still
# up, no 16 bytes of them are in the memory of the server; nor, in the end, in any file of any process:
# no log, no journal, no checkpoint, and the key files themselves are overwritten.
. "$(dirname "$0")/lib.sh"
keyscan=$E2E_BUILD/tests/e2e/keyscan
[ "$(id -u)" -eq 0 ] || { echo "reading another process's memory needs root" && exit 77; }
rounds=10
FED_SOURCE=file
e2e_configure markers $rounds

# Four blocks of 64 KiB per pair; the bodies, behind the header of 256 bytes, are the markers.
for ((i = 0; i < 4; i++)); do
    for ((j = i + 1; j < 4; j++)); do
        a=${FED_SITES[$i]} b=${FED_SITES[$j]}
        "$QFLCTL" site keyfile "$a" "$b" --name "$a-$b.keys" --out "$FED_DIR/$a/kme" \
            --out "$FED_DIR/$b/kme" --blocks 4 --block-bytes 65536 >/dev/null
        tail -c +257 "$FED_DIR/$a/kme/$a-$b.keys" >>"$E2E_DIR/marker-keys"
    done
done
"$keyscan" "$E2E_DIR/marker-keys" "$FED_DIR/alice/kme/alice-bob.keys" >/dev/null &&
    fail "the scanner does not find the markers where they are: it cannot fail"

e2e_start
e2e_run_start
wait_for 60 e2e_ended || fail "the run did not end"
[ "$(e2e_summed)" -eq $rounds ] || fail "only $(e2e_summed) of $rounds rounds were summed"
e2e_check_sums
"$keyscan" "$E2E_DIR/marker-keys" --pid "$(e2e_pid server)" || fail "key bytes in the server's memory"

# All blocks have been taken into the vaults, sealed; then nothing is left in the clear anywhere.
e2e_files_are_used() {
    local keys
    for keys in "$FED_DIR"/*/kme/*.keys; do
        [ "$(tail -c +257 "$keys" | tr -d '\0' | wc -c)" -eq 0 ] || return 1
    done
}
wait_for 30 e2e_files_are_used || fail "the key files are not overwritten"
mapfile -t files < <(find "$FED_DIR" -type f -size +0)
"$keyscan" "$E2E_DIR/marker-keys" "${files[@]}" || fail "key bytes in a file"
