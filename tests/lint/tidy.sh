#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy with the checks of .clang-tidy over the product's own code; generated code is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
files=$(git ls-files 'common/*.c' 'proto/*.c' 'server/*.c' 'client/*.c' 'keypool/*.c' 'deploy/*.c')
printf '%s\n' $files | xargs -P 2 -n 8 clang-tidy --quiet -p "$build" 2>/dev/null | tee /dev/stderr |
    { ! grep -E 'warning:|error:'; }
echo "clang-tidy is silent over $(printf '%s\n' $files | wc -l) files"
