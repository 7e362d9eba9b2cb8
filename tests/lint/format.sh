#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format would write it.
set -euo pipefail
cd "$(dirname "$0")/../.."
git ls-files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror
echo "clang-format agrees with $(git ls-files '*.c' '*.h' | wc -l) files"
