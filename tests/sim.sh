#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The federation in simulated bad weather, one story per seed:
#
#   tests/sim.sh --seeds A..B [--json FILE] [--jobs N] [--rounds N] [--keep-going]
#   tests/sim.sh --story SEED [--rounds N]
#
# Builds what it needs in $BUILD (default: build/ of this clone). See tests/sim/README.md.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build}
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" >&2
ninja -C "$build" tests/sim/qfl-sim >&2
exec "$build/tests/sim/qfl-sim" "$@"
