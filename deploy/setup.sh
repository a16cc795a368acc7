#!/bin/sh
# Sets a checkout up for `make demo` (setup.sh run), `make test` (setup.sh test) or `make bench`
# (setup.sh bench): the Debian packages that are missing, a virtual environment, the pinned
# requirements. Quick when all is there. Services that come with a package are not started.
set -eu
cd "$(dirname "$0")/.."

what=${1:?setup.sh run|test|bench}
packages="containernetworking-plugins nftables iptables iproute2 iputils-ping util-linux"
requirements=requirements.txt
if [ "$what" = test ]; then
    packages="$packages postgresql chromium fonts-dejavu-core systemd podman runc busybox-static"
    packages="$packages pdns-server pdns-backend-remote pdns-recursor bind9-dnsutils haproxy nginx"
    requirements=requirements-dev.txt
fi
if [ "$what" = bench ]; then
    packages="$packages frr bird2 postgresql pdns-server pdns-backend-remote pdns-backend-bind dnsperf"
fi

step() { printf '  %-10s %s\n' "$1" "$2"; }
fail() { printf 'netadmin: %s\n' "$1" >&2; exit 2; }

if ! command -v dpkg-query >/dev/null 2>&1; then
    fail "this set-up installs Debian packages and finds no dpkg here; use Debian 12 or newer, or install by hand: $packages"
fi
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is not Python 3.11 or newer; install python3 (Debian 12 has 3.11) or set PYTHON"
"$python" -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"

missing=
for package in $packages; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ "$(id -u)" != 0 ]; then
    [ -z "$missing" ] || fail "needs root to install:$missing. Run as root, or: apt-get install$missing"
    fail "needs root: it makes network namespaces and devices inside them (never on this machine itself). Run it as root"
fi
if [ -n "$missing" ]; then
    step packages "installing$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # Routing daemons and DNS servers must not start here; invoke-rc.d(8) asks this file.
    policy=/usr/sbin/policy-rc.d
    if [ "$what" != run ] && [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    # The first try uses the lists that are there; a machine that never updated them has none.
    # shellcheck disable=SC2086
    if ! apt-get install -y --no-install-recommends $missing >"$log" 2>&1; then
        if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            fail "apt-get could not install:$missing (see above; the whole log is $log)"
        fi
    fi
    rm -f "$log"
fi

[ -x .venv/bin/python ] || { step python "making .venv with $("$python" --version)"; "$python" -m venv .venv; }
wanted=$(cat requirements.txt "$requirements" | sha256sum | cut -d' ' -f1)
stamp=.venv/installed-$what
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    step python "installing $requirements"
    # uv installs what pip installs, in a tenth of the time; without it pip does.
    if [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9 2>/dev/null; then
        .venv/bin/uv pip install -q --python .venv/bin/python -r "$requirements" ||
            .venv/bin/python -m pip install -q --disable-pip-version-check -r "$requirements"
    else
        .venv/bin/python -m pip install -q --disable-pip-version-check -r "$requirements"
    fi
    echo "$wanted" >"$stamp"
fi
