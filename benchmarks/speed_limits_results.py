"""The table of the benchmark on street photographs, from the results that its runs wrote.

python -m benchmarks.speed_limits_results
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from benchmarks.speed_limits_folds import OWN_FOLD

PREFIX = "speed-limits-"  # of the results' files
NAMES = {
    "saccader": "tfvs, {num_steps} looks",
    "model": "the model kept, {num_steps} looks",
    "attention": "the same with attention-sampling weights",
    "random": "its weights, looks drawn evenly",
    "contrast": "its weights, looks at most contrast",
    "oracle": "its weights, looks at the true boxes",
    "whole": "its crop network, whole photographs",
    "half": "its crop network, half the size",
    "proxy": "its crop network, the proxy alone",
}
HEADINGS = (
    "result", "method", "seed", "photographs", "accuracy", "balanced", "limits right", "false alarms",
    "signs inside a look", "centre inside", "pixels read", "ms of the processor", "minutes",
)  # fmt: skip
SHARES = (
    "accuracy", "balanced_accuracy", "limits_right", "false_alarms", "signs_inside_a_look", "signs_centre_inside",
    "pixels_read",
)  # fmt: skip


def rows(report: dict[str, Any]) -> list[list[str]]:
    """Rows of one run: on the validation or another fold, on the test, and of other looks with the same weights."""
    method = "model" if "model" in report else report["method"]
    splits = {"validation": "validation" if report["fold"] == OWN_FOLD else f"fold {report['fold']}", "test": "test"}
    found = [(method, shown, report[split], "cpu_minutes") for split, shown in splits.items() if split in report]
    found += [(name, splits["validation"], values, "") for name, values in report.get("same_weights", {}).items()]
    return [
        [
            NAMES[name].format(**values),
            str(report["seed"]),
            f"{values['photographs']}, {split}",
            *(_share(values, share) for share in SHARES),
            f"{values['cpu_ms_per_photograph']:.0f}" if "cpu_ms_per_photograph" in values else "–",
            f"{report[minutes]:.0f}" if minutes in report else "none",
        ]
        for name, split, values, minutes in found
    ]


def _share(values: dict[str, Any], name: str) -> str:
    if values.get(name) is None:
        return "–"
    interval = values.get(f"{name}_interval")
    ends = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    return f"{100 * values[name]:.1f}{ends}"


@click.command()
@click.option(
    "--results", type=click.Path(exists=True, path_type=Path), default=Path("docs/results"), show_default=True
)
def main(results: Path) -> None:
    """Prints the table in Markdown; shares are per cent, with 95 % intervals."""
    reports = {path.stem.removeprefix(PREFIX): json.loads(path.read_text()) for path in results.glob(f"{PREFIX}*.json")}
    names = sorted(reports, key=lambda name: (list(NAMES).index(reports[name]["method"]), name))
    table = [[name, *row] for name in names for row in rows(reports[name])]
    for row in [HEADINGS, ["---"] * len(HEADINGS), *table]:
        click.echo(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
