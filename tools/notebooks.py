"""Makes the notebooks of ``examples/`` from the scripts beside them: ``python tools/notebooks.py``.

A script is the source; ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text.
"""

from __future__ import annotations

import json
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MARK, TEXT = "# %%", "# %% [markdown]"


def to_notebook(script: str) -> str:
    """A notebook, format 4.5, of a script with marked cells."""
    cells = []
    for part in f"\n{script}".split(f"\n{MARK}")[1:]:
        is_text = part.startswith(TEXT.removeprefix(MARK))
        lines = part.split("\n", 1)[1].strip("\n").split("\n")
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        source = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
        cell = {"cell_type": "markdown" if is_text else "code", "id": f"cell-{len(cells)}", "metadata": {}}
        cells.append(
            {**cell, "source": source}
            if is_text
            else {**cell, "execution_count": None, "outputs": [], "source": source}
        )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes every notebook."""
    for script in sorted(EXAMPLES.glob("*.py")):
        script.with_suffix(".ipynb").write_text(to_notebook(script.read_text()))


if __name__ == "__main__":
    main()
