#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The fast unit tests under valgrind: no invalid access, no leak.
#
#   valgrind.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/../.."
meson test -C "$1" --no-rebuild --suite valgrind --timeout-multiplier 20 --logbase valgrind \
    --print-errorlogs \
    --wrap='valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite'
echo "valgrind has nothing to say about $(wc -l <"$1/meson-logs/valgrind-valgrind.json") tests"
