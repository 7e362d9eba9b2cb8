# SPDX-License-Identifier: Apache-2.0
# Debian packages, installed only if missing. Sourced by demo.sh and tests/run.sh.

QFL_BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libuv1-dev libprotobuf-c-dev
    protobuf-c-compiler libssl-dev libyaml-dev libsqlite3-dev libjansson-dev zlib1g-dev"
QFL_DEMO_PACKAGES="jq openssl"
QFL_TEST_PACKAGES="libcmocka-dev jq openssl clang libclang-rt-14-dev clang-format clang-tidy valgrind strace
    python3-numpy iproute2 procps"

# need_packages NAME...: installs those that dpkg does not know as installed.
need_packages() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
            missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing packages: ${missing[*]}; run as root or install sudo" >&2
            return 77
        }
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
