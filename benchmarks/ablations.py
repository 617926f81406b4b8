"""The plots of the two ablations: accuracy against the proxy's noise (figure 4), and the posterior's variance."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.experiments import EXPERIMENTS, NOISY, PAPER_VARIANCE, VARIANCE, Experiment
from tfvs.viz.charts import chart
from tfvs.viz.palette import FAINT, RIGHT, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Panel(NamedTuple):
    """One of a plot's diagrams.

    Attributes:
      section: Of its experiments.
      kind: Of its experiments.
      title: Above it.
      axis: What varies.
      logarithmic: Whether the axis is.
    """

    section: str
    kind: str
    title: str
    axis: str
    logarithmic: bool


PLOTS = {
    "ablation-proxy": (
        Panel(NOISY, "keep", "Few points of the proxy", "share of the proxy's points kept, %", True),
        Panel(NOISY, "noise", "Noise added to the proxy", "noise, grey levels of 255", False),
    ),
    "ablation-variance": (
        Panel(VARIANCE, "stddev", "Attention on the proxy", "fixed σ, half the image's side", True),
        Panel(PAPER_VARIANCE, "paper-stddev", "The paper's parametrisation", "fixed σ, half the image's side", True),
    ),
}


class Point(NamedTuple):
    """All runs of one setting that are there.

    Attributes:
      setting: What the panel varies; None for the learned variance.
      mean: Of the accuracies, per cent.
      spread: Their standard deviation; None for one run.
      runs: How many there are.
    """

    setting: float | None
    mean: float
    spread: float | None
    runs: int


def summarise(setting: float | None, accuracies: Sequence[float]) -> Point:
    """Mean and standard deviation of the runs of a setting.

    >>> summarise(0.5, [60.0, 62.0])
    Point(setting=0.5, mean=61.0, spread=1.4142135623730951, runs=2)
    >>> summarise(None, [60.0]).spread is None
    True
    """
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else None
    return Point(setting, statistics.mean(accuracies), spread, len(accuracies))


def read_points(panel: Panel, results: Path) -> list[Point]:
    """The settings of a panel that have results, in the order of their values, the learned variance last."""
    runs: dict[float | None, list[Experiment]] = {}
    for experiment in EXPERIMENTS:
        if (experiment.section, experiment.kind) == (panel.section, panel.kind):
            runs.setdefault(experiment.setting, []).append(experiment)
    points = []
    for setting, experiments in runs.items():
        paths = [results / experiment.result for experiment in experiments]
        found = [100 * json.loads(path.read_text())["accuracy"] for path in paths if path.exists()]
        if found:
            points.append(summarise(setting, found))
    return sorted(points, key=lambda point: float("inf") if point.setting is None else point.setting)


def draw(name: str, results: Path) -> bytes | None:
    """One of ``PLOTS`` as PNG bytes; None without a single result. A setting with one run has no error bar.

    Args:
      name: Key of ``PLOTS``.
      results: Folder of the JSON files.
    """
    found = {panel: read_points(panel, results) for panel in PLOTS[name]}
    if not any(found.values()):
        return None
    with chart(9.0, 3.6) as (figure, pictures):
        for axes, (panel, points) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
            draw_panel(axes, panel, points)
    return pictures[0]


def draw_panel(axes: Axes, panel: Panel, points: list[Point]) -> None:
    """Draws the settings with fixed values as a line, and the learned variance as one across, with their spreads."""
    scale = 100.0 if panel.kind == "keep" else 1.0
    fixed = [point for point in points if point.setting is not None]
    places = [scale * (point.setting or 0.0) for point in fixed]
    means = [point.mean for point in fixed]
    if fixed:
        axes.plot(places, means, "o-", color=RIGHT, markersize=4, linewidth=1)
    for place, point in zip(places, fixed, strict=True):
        if point.spread is not None:
            axes.errorbar(place, point.mean, yerr=point.spread, color=RIGHT, capsize=3, linewidth=1)
    for point in points:
        if point.setting is None:
            axes.axhline(point.mean, color=WRONG, linewidth=1.2, label=f"learned, {_runs(point.runs)}")
            if point.spread is not None:
                axes.axhspan(point.mean - point.spread, point.mean + point.spread, color=WRONG, alpha=0.12)
            axes.legend(frameon=False, fontsize=8)
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(panel.axis)
    axes.set_ylabel("test accuracy, %")
    axes.set_title(panel.title, loc="left", fontsize=9.5)
    if not points:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=FAINT)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
