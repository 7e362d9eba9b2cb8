#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The fast unit tests under valgrind: no invalid access, no leak.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
meson test -C "$build" --no-rebuild --suite valgrind --timeout-multiplier 20 --logbase valgrind \
    --wrap='valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite'
