#!/usr/bin/env bash
# usage: beside.sh VENV NAME TESTS - an environment beside VENV that has the packages of requirements/NAME.txt and sees
# those of VENV, which stay as they are; then TESTS in it. For packages that the lock cannot hold.
set -euo pipefail
venv=$(cd "$1" && pwd)
packages="requirements/$2.txt"
own="$venv-$2"
if ! cmp -s "$packages" "$own/installed.txt"; then
  "$venv/bin/uv" venv -q --clear --python "$venv/bin/python" "$own"
  "$venv/bin/uv" pip install -q --python "$own/bin/python" --no-deps -r "$packages"
  site='import sysconfig; print(sysconfig.get_path("purelib"))'
  "$venv/bin/python" -c "$site" >"$("$own/bin/python" -c "$site")/packages_below.pth"
  cp "$packages" "$own/installed.txt"
fi
PYTHONPATH=$PWD "$own/bin/python" -m pytest -q "${@:3}"
