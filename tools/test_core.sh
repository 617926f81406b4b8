#!/usr/bin/env bash
# The library alone, on another Python, with the newest TensorFlow and Keras there: neither TFX nor Beam.
set -euo pipefail
python=${1:-python3.12}
if ! command -v "$python" >/dev/null || ! "$python" --version >/dev/null 2>&1; then
  version=${python#python}
  python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/python 2>/dev/null | tail -n 1 || true)
fi
if [ -z "$python" ]; then
  echo "No ${1:-python3.12} here: install it, or name another with PYTHON=..." >&2
  exit 5
fi
venv=.venv-core/$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ ! -e "$venv/.installed" ] || [ setup.py -nt "$venv/.installed" ]; then
  "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -r requirements/installer.txt
  VIRTUAL_ENV="$PWD/$venv" "$venv/bin/uv" pip install -q -e ".[imagenet,serving,test]"
  touch "$venv/.installed"
fi
"$venv/bin/uv" pip list -q --python "$venv/bin/python" | grep -E '^(tensorflow|keras|tensorflow-probability) '
exec "$venv/bin/python" -m pytest -q -n auto --maxprocesses 4 --dist worksteal -m "not slow and not e2e and not tfx" --ignore=tests/components --ignore=tests/pipelines --ignore-glob='tests/faults/test_prepare_*' ${TESTS:-}
