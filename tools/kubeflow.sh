#!/usr/bin/env bash
# usage: kubeflow.sh VENV - a second environment beside VENV that holds Kubeflow's compiler and sees VENV's packages; then
# the tests that compile a pipeline in it. The compiler needs older packages than those of VENV, which stay as they are.
set -euo pipefail
venv=$(cd "$1" && pwd)
own="$venv-kubeflow"
if ! cmp -s requirements/kubeflow.txt "$own/installed.txt"; then
  "$venv/bin/uv" venv -q --clear --python "$venv/bin/python" "$own"
  "$venv/bin/uv" pip install -q --python "$own/bin/python" --no-deps -r requirements/kubeflow.txt
  site='import sysconfig; print(sysconfig.get_path("purelib"))'
  "$venv/bin/python" -c "$site" >"$("$own/bin/python" -c "$site")/packages_below.pth"
  cp requirements/kubeflow.txt "$own/installed.txt"
fi
PYTHONPATH=$PWD "$own/bin/python" -m pytest -q tests/pipelines/test_vertex.py
