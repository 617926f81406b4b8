#!/usr/bin/env bash
# Installs the locked packages and tfvs itself into a virtual environment, and nothing anywhere else.
set -euo pipefail
venv=${1:-.venv}
source "$(dirname "$0")/python310.sh"

free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
if [ ! -x "$venv/bin/python" ] && [ "$free_mb" -lt 5000 ]; then
  echo "The installation needs about 5 GB of disk and there are $free_mb MB free here: make room and run it again." >&2
  exit 5
fi

started=$(date +%s)
if ! [ -x "$venv/bin/python" ] || ! is_310 "$venv/bin/python"; then
  python=$(python310) || exit 5
  echo "Installing into $venv with $("$python" --version) ..."
  "$python" -m venv --clear "$venv"
fi
export VIRTUAL_ENV="$PWD/$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r requirements/installer.txt
# Compiled once here, on all cores: TFX alone imports thousands of modules, in several processes.
"$venv/bin/uv" pip sync -q --compile-bytecode requirements/lock.txt
"$venv/bin/uv" pip install -q -r requirements/installer.txt
"$venv/bin/uv" pip install -q --no-deps --no-build-isolation -e .
# TFX's own command with one more option (see pipelines/tfx_cli.py); every stock command passes through.
printf '#!%s\nfrom pipelines.tfx_cli import main\n\nmain()\n' "$PWD/$venv/bin/python" > "$venv/bin/tfx"
touch "$venv/.installed"
echo "Installed in $(($(date +%s) - started)) s."
