#!/bin/sh
# Make a virtual environment with muslbackend and what it needs: setup.sh FOLDER GROUP...
#
# GROUP is a dependency group of pyproject.toml. On Debian and Ubuntu, as root, missing system
# packages are installed; otherwise they are named. PYTHON chooses the interpreter; by default it
# is the newest of 3.11 to 3.13 that is complete. With 3.14 and 3.15, which it can name, the tests
# compile a musl CPython first: nobody has packed one.
set -eu

folder=$1
shift
cd "$(dirname "$0")/.."

newest=${PYTHON:+15}
complete="
import sys, sysconfig, pathlib, venv, ensurepip
assert (3, 11) <= sys.version_info[:2] <= (3, ${newest:-13})
assert pathlib.Path(sysconfig.get_path('include'), 'Python.h').is_file()
"

find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if "$name" -c "$complete" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

packages=""
[ -n "$(find_python)" ] || packages="python3 python3-venv python3-dev"
case " $* " in
    *" test "*)
        command -v gcc >/dev/null && command -v g++ >/dev/null || packages="$packages gcc g++ libc6-dev"
        command -v pkg-config >/dev/null || packages="$packages pkg-config" ;;
esac
if [ -n "$packages" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq update
        # shellcheck disable=SC2086 # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages ca-certificates
    else
        echo "missing on this machine: $packages" >&2
        echo "install them first, on Debian and Ubuntu: sudo apt-get install $packages" >&2
        exit 1
    fi
fi
python=$(find_python)
if [ -z "$python" ]; then
    echo "no Python from 3.11 to 3.13 with venv and headers was found; name one, up to 3.15: PYTHON=..." >&2
    exit 1
fi

"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
set -- $(printf ' --group %s' "$@")
"$folder/bin/python" -m pip install --quiet --editable . "$@"
