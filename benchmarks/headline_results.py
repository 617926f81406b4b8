"""What the headline's measurements say: ratios, and a figure that shows them at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Times faster in inference, as the paper claims; it reports 5 % of the memory beside.
PAPER_TIMES = 10
LEAST_MB = 0.1  # what Linux counts a process's memory to, about
NAMES = {
    "paper": "saccader, the paper's size",
    "default": "saccader, default size",
    "resnet_cells": "ResNet18 on a grid of crops",
}
COLOURS = {"paper": "tab:blue", "default": "tab:cyan", "resnet_cells": "tab:red"}
QUANTITIES = {
    "inference_time": "time of an answer",
    "training_time": "time of a training step",
    "inference_memory": "memory of an answer",
    "training_memory": "memory of a training step",
    "flops": "floating point operations",
}


def ratios(times: dict[str, Any], memory: dict[str, Any], saccader: str) -> dict[str, Any]:
    """How many times less a saccader takes than ResNet18 on a grid, one image at a time.

    Args:
      times: Milliseconds and operations, by model and phase.
      memory: Megabytes, likewise.
      saccader: Which one.

    Returns:
      ``inference_time`` and ``training_time`` against the faster of ResNet18's two ways; ``inference_memory`` and
      ``training_memory`` against all crops in one batch, and ``…_by_cells`` against cell by cell; ``flops``; and the
      training time per image with a whole batch, ``training_time_batch``.
    """
    own, batch, cells = (times[name] for name in (saccader, "resnet_batch", "resnet_cells"))

    def faster(phase: str, ours: float) -> float:
        return round(min(batch[phase]["ms"], cells[phase]["ms"]) / ours, 1)

    def smaller(phase: str, other: str) -> float:
        theirs, ours = (max(memory[name][phase]["adds_mb"], LEAST_MB) for name in (other, saccader))
        return round(theirs / ours, 1)

    return {
        "inference_time": faster("inference", own["inference"]["ms"]),
        "training_time": faster("training", own["training"]["ms"]),
        "training_time_batch": faster("training", own["training_batch"]["ms_per_image"]),
        "inference_memory": smaller("inference", "resnet_batch"),
        "training_memory": smaller("training", "resnet_batch"),
        "inference_memory_by_cells": smaller("inference", "resnet_cells"),
        "training_memory_by_cells": smaller("training", "resnet_cells"),
        "flops": round(batch["inference"]["flops"] / own["inference"]["flops"], 1),
    }


def plot(report: dict[str, Any], path: Path) -> None:
    """Left the ratios at the paper's size of image, right the time of an answer against the image's size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_ratios(left, report)
    _plot_curve(right, report["curve"])
    figure.savefig(path)


def _plot_ratios(axes: Any, report: dict[str, Any]) -> None:
    for row, saccader in enumerate(report["ratios"]):
        values = [report["ratios"][saccader][name] for name in QUANTITIES]
        places = [place + 0.4 * row - 0.2 for place in range(len(QUANTITIES))]
        bars = axes.barh(places, values, height=0.38, label=NAMES[saccader], color=COLOURS[saccader])
        axes.bar_label(bars, [f"{spaced(value)} ×" for value in values], padding=3, fontsize=8)
    axes.axvline(PAPER_TIMES, color="grey", linestyle="--", label=f"the paper's claim: answers {PAPER_TIMES} × faster")
    axes.set_yticks(range(len(QUANTITIES)), QUANTITIES.values())
    axes.invert_yaxis()
    largest = max(found[name] for found in report["ratios"].values() for name in QUANTITIES)
    axes.set(xscale="log", xlim=(1, 6 * largest), xlabel="times less")
    axes.set_title(f"Times less than ResNet18 on {report['crops']} crops: one image of {spaced(report['side'])}²")
    _put_legend_below(axes)


def _plot_curve(axes: Any, curve: dict[str, Any]) -> None:
    sides = sorted({int(side) for one in curve.values() for side in one})
    for model, found in curve.items():
        points = sorted((int(side), one["ms"], one["extrapolated"]) for side, one in found.items())
        known, guessed = ([point[:2] for point in points if point[2] == flag] for flag in (False, True))
        axes.plot(*zip(*known, strict=True), "o-", label=NAMES[model], color=COLOURS[model])
        if guessed:
            axes.plot(*zip(known[-1], *guessed, strict=True), ":", color=COLOURS[model])
            white = {"markerfacecolor": "white", "label": "the same, extrapolated"}
            axes.plot(*zip(*guessed, strict=True), "o", color=COLOURS[model], **white)
    axes.set(xscale="log", yscale="log", xlabel="side of the image, pixels", ylabel="one answer, ms")
    axes.set_title("Time of an answer against the image's size")
    axes.set_xticks(sides, [spaced(side) for side in sides], fontsize=8)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    _put_legend_below(axes)


def _put_legend_below(axes: Any) -> None:
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.15), ncol=2, frameon=False)


def spaced(value: float) -> str:
    """A whole number with spaces between thousands.

    >>> spaced(100_000.2)
    '100 000'
    """
    return f"{value:,.0f}".replace(",", " ")
