"""The results of ``python -m benchmarks.starcraft2`` as a table.

python -m benchmarks.starcraft2_results
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

COLUMNS = (
    "model", "training images", "accuracy, %", "balanced accuracy, %", "mean error, marines", "within one, %",
    "marines in a look, %", "in two, %", "passes", "minutes of one core", "images/s, training",
)  # fmt: skip


def table(reports: list[dict[str, Any]]) -> str:
    """Markdown: a row per run, most accurate first."""
    rows = [_row(report) for report in sorted(reports, key=lambda report: -report["accuracy"])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (COLUMNS, ("---",) * len(COLUMNS), *rows))


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    model = f"{report['model']} at {report['side']}²" if report["side"] else report["model"]
    model += ", drawn by class frequency" if report["sample_evenly"] else ""
    model += f", {report['label']}" if report["label"] else ""
    looks = [f"{100 * report[key]:.1f}" if key in report else "–" for key in ("marines_seen", "marines_seen_twice")]
    speed = report["training_images_per_second"]
    return (
        f"{model}, seed {report['seed']}",
        str(report["train_images"]),
        f"**{100 * report['accuracy']:.1f}**",
        f"{100 * report['balanced_accuracy']:.1f}",
        f"{report['mean_absolute_error']:.2f}",
        f"{100 * report['within_one']:.1f}",
        *looks,
        f"{report['passes_done']:.1f}",
        f"{report['cpu_minutes']:.1f}",
        f"{speed:.0f}" if speed else "–",
    )


@click.command()
@click.option("--results", default="docs/results", show_default=True, type=click.Path(path_type=Path))
def main(results: Path) -> None:
    """Prints the table of all runs."""
    click.echo(table([json.loads(path.read_text()) for path in sorted(results.glob("starcraft2-*.json"))]))


if __name__ == "__main__":
    main()
