# Shared by the scripts: installs what is missing, configures and builds. Sourced, never run.

set -euo pipefail
top="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$top"

coffer_packages=(
  g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libcaf-dev liblmdb-dev libssl-dev libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libboost1.81-dev libboost-test1.81-dev rapidjson-dev libspdlog-dev libfmt-dev libcurl4-openssl-dev
  prometheus-cpp-dev libre2-dev libbenchmark-dev libp11-kit-dev librnp-dev softhsm2 opensc
  python3 python3-pip python3-hvac python3-websocket python3-grpcio python3-protobuf curl jq openssl util-linux iproute2 procps gnupg
  valgrind
)

# So that a second clone finds what the first one compiled.
export CCACHE_BASEDIR="$top" CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

say() { printf '==> %s\n' "$*" >&2; }

# Installs with apt what dpkg does not know as installed; as root, or by sudo.
install_missing() {
  local missing=() package sudo=()
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  say "installing ${#missing[@]} packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq -o DPkg::Lock::Timeout=300
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=300 -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# configure PRESET; build PRESET [targets…]
configure() {
  say "configuring $1"
  cmake --preset "$1" --log-level=NOTICE >/dev/null
}

build() {
  local preset="$1"
  shift
  say "building $preset ${*:-everything}"
  local started=$SECONDS
  NINJA_STATUS='[%f/%t %es] ' ninja -C "build/$preset" "$@" | progress
  say "built in $((SECONDS - started)) s"
}

# On a terminal ninja's own line is progress enough; in a log one line every 25 steps is. Read line by line: awk would keep them back.
progress() {
  if [ -t 1 ]; then
    cat
    return
  fi
  local line steps=0
  while IFS= read -r line; do
    if [[ $line != \[* ]] || ((steps++ % 25 == 0)); then
      printf '%s\n' "$line"
    fi
  done
}
