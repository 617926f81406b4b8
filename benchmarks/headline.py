"""The paper's headline: the saccader reading tiles of pyramids beside ResNet18 on 144 crops, in one run on one core.

    python -m benchmarks.headline --digits mnist.npz --runs /tmp/headline
    python -m benchmarks.headline --quick --results /tmp/quick --runs /tmp/quick   # tiny, to try the machinery

Weights are random: what an answer costs does not depend on them. Images are the paper's, two digits among clutter on a
canvas of 100² that is enlarged to 2 528². ResNet18 runs in two ways: its 144 crops as one batch, and cell by cell. Each
measurement runs in a process of its own with one thread, pinned to ``--core``. Writes ``headline.json`` and
``headline.png`` to ``--results``; the last line printed is the JSON.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.headline_images import SPLIT, enlarged, write_canvases
from benchmarks.headline_measure import GIVES_BACK, WAYS, crops_across
from benchmarks.headline_models import RESNETS, SACCADERS
from benchmarks.headline_results import plot, ratios
from benchmarks.machine import describe_machine
from benchmarks.scale import child

# A training step that is expected to take more of the free memory is not run, but scaled from one with few crops.
LARGEST_SHARE_OF_MEMORY = 0.6
FEW = 4  # N of that grid
PARTS = ("memory", "times", "curve")


class Plan(NamedTuple):
    """How much is measured.

    Attributes:
      side: Of the canvases, pixels.
      images: Number of them.
      answers: Answers of a saccader per round; an eighth as many training steps.
      rounds: Of each measurement, of which the best counts; ResNet18's curve has one.
      batch: Images per training step of a saccader, beside a step with one.
      sides: Sides of the curve, pixels.
      resnet_sides: Those of ResNet18 beside ``side`` itself; larger ones are extrapolated.
      longest_extrapolated: Largest side that ResNet18 is extrapolated to.
      apart: Whether every measurement has a process of its own.
    """

    side: int
    images: int
    answers: int
    rounds: int
    batch: int
    sides: tuple[int, ...]
    resnet_sides: tuple[int, ...]
    longest_extrapolated: int
    apart: bool


WHOLE = Plan(2_528, 8, 16, 2, 32, (1_000, 2_528, 10_000, 100_000), (1_000, 5_000), 10_000, True)
TINY = Plan(300, 2, 1, 1, 2, (300, 1_000), (230,), 1_000, False)


class Measurements:
    """Runs measurements and says what they found."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder

    def run(self, what: str, **fields: Any) -> dict[str, Any]:
        """One of :data:`benchmarks.headline_measure.WAYS`."""
        fields = {"folder": str(self.folder), **fields}
        if self.plan.apart:
            texts = (f"{name}={json.dumps(value)}" for name, value in fields.items())
            found = child("headline_measure", what, *texts, environment=GIVES_BACK if what == "memory" else None)
        else:
            found = WAYS[what](**fields)
        click.echo(f"{what} {fields['model']}: {found}")
        return found

    def on_canvases(self, what: str, model: str, **fields: Any) -> dict[str, Any]:
        """A measurement on the canvases."""
        plan = self.plan
        common = {"side": plan.side, "grid": crops_across(plan.side), "images": plan.images}
        return self.run(what, model=model, **{**common, **fields})

    def phases(self, model: str) -> dict[str, int]:
        """What is measured of a model, and the images of a training step; 0 for answers."""
        batches = {"training_batch": self.plan.batch} if model in SACCADERS else {}
        return {"inference": 0, "training": 1, **batches}


def measure_memory(measurements: Measurements) -> dict[str, Any]:
    """Memory of every model; that of a training step that does not fit is in proportion to the number of crops."""
    crops = (crops_across(measurements.plan.side) / FEW) ** 2
    found: dict[str, Any] = {}
    for model in (*SACCADERS, *RESNETS):
        found[model] = {}
        for phase, batch in measurements.phases(model).items():
            if (model, phase) == ("resnet_batch", "training") and crops > 1:
                few = measurements.on_canvases("memory", model, batch=batch, grid=FEW)
                if few["adds_mb"] * crops > LARGEST_SHARE_OF_MEMORY * _free_memory_mb():
                    found[model][phase] = {**few, "adds_mb": round(few["adds_mb"] * crops, 1), "extrapolated": True}
                    continue
            found[model][phase] = {**measurements.on_canvases("memory", model, batch=batch), "extrapolated": False}
    return found


def measure_times(measurements: Measurements, memory: dict[str, Any]) -> dict[str, Any]:
    """Answers and training steps of every model, and operations; a step that does not fit into memory is scaled."""
    plan, found = measurements.plan, {}
    for model in (*SACCADERS, *RESNETS):
        answers, steps = (plan.answers, -(-plan.answers // 8)) if model in SACCADERS else (1, 1)
        timing = {"rounds": plan.rounds, "count": answers}
        found[model] = {"inference": measurements.on_canvases("inference", model, **timing)}
        for phase, batch in measurements.phases(model).items():
            if batch:
                scaled = memory[model][phase]["extrapolated"]
                fields = {"rounds": plan.rounds, "count": steps, "batch": batch, **({"grid": FEW} if scaled else {})}
                step = {**measurements.on_canvases("training", model, **fields), "extrapolated": scaled}
                if scaled:
                    times = (crops_across(plan.side) / FEW) ** 2
                    step |= {name: round(step[name] * times, 3) for name in ("ms", "ms_per_image")}
                found[model][phase] = step
    return found


def _free_memory_mb() -> float:
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) / 1024


def measure_curve(measurements: Measurements, models: dict[str, Any], digits: str) -> dict[str, Any]:
    """Milliseconds per image by its size; what was not measured is in proportion to the number of crops."""
    plan = measurements.plan
    found: dict[str, Any] = {}
    for model in SACCADERS:
        fields = {"sides": plan.sides, "rounds": plan.rounds, "count": plan.answers, "digits": digits}
        sides = measurements.run("curve", model=model, **fields)
        found[model] = {side: {**one, "extrapolated": False} for side, one in sides.items()}
    sides = measurements.run("curve", model="resnet_cells", sides=plan.resnet_sides, rounds=1, count=1, digits=digits)
    sides[str(plan.side)] = {name: models["resnet_cells"]["inference"][name] for name in ("ms", "rounds_ms", "cpu_ms")}
    measured = {int(side): one for side, one in sides.items()}
    largest = max(measured)
    resnet = {str(side): {**measured[side], "extrapolated": False} for side in sorted(measured)}
    for side in plan.sides:
        if largest < side <= plan.longest_extrapolated:
            crops = (crops_across(side) / crops_across(largest)) ** 2
            resnet[str(side)] = {"ms": round(measured[largest]["ms"] * crops, 1), "extrapolated": True}
    return {**found, "resnet_cells": resnet}


@click.command()
@click.option("--digits", default="uci", show_default=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--core", default=0, show_default=True, help="The core that everything runs on.")
@click.option("--quick", is_flag=True, help="Measure tiny images a few times, which shows that everything works.")
@click.option("--parts", default=",".join(PARTS), show_default=True, help="Parts to measure; others are kept.")
@click.option("--runs", default="runs/headline", show_default=True, help="Folder of the images.")
@click.option("--results", default="docs/results", show_default=True, help="Folder of the results.")
def main(digits: str, core: int, quick: bool, parts: str, runs: str, results: str) -> None:
    """Measures both sides of the headline on this machine."""
    plan = TINY if quick else WHOLE
    folder = Path(runs).absolute() / str(plan.side)
    allowed = os.sched_getaffinity(0)
    if core not in allowed:
        raise click.BadParameter(f"one of {sorted(allowed)}, not {core}", param_hint="--core")
    chosen = parts.split(",")
    if not set(chosen) <= set(PARTS):
        raise click.BadParameter(f"some of {', '.join(PARTS)}, not {parts}", param_hint="--parts")
    path = Path(results) / "headline.json"
    if set(chosen) != set(PARTS) and not path.exists():
        raise click.UsageError(f"There is no {path} whose other parts could be kept: measure all parts")
    report: dict[str, Any] = json.loads(path.read_text()) if set(chosen) != set(PARTS) else {"cpu_minutes": 0.0}
    report |= {"machine": describe_machine(), "core": core, "side": plan.side, "crops": crops_across(plan.side) ** 2}
    os.sched_setaffinity(0, {core})
    try:
        write_canvases(folder, enlarged(plan.side, digits), {SPLIT: plan.images}, overwrite=True)
        measurements = Measurements(plan, folder)
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            "memory": lambda: measure_memory(measurements),
            "times": lambda: measure_times(measurements, report["memory"]),
            "curve": lambda: measure_curve(measurements, report["times"], digits),
        }
        for part in chosen:
            before = _load()
            report[part] = ways[part]()
            measured = {"date": report["machine"]["date"], "load_before": before, "load_after": _load()}
            report.setdefault("measured", {})[part] = measured
    finally:
        os.sched_setaffinity(0, allowed)
        shutil.rmtree(folder, ignore_errors=True)
    report["cpu_minutes"] = round(report["cpu_minutes"] + _cpu_minutes(), 2)
    report["ratios"] = {model: ratios(report["times"], report["memory"], model) for model in SACCADERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    plot(report, path.with_suffix(".png"))
    click.echo(json.dumps(report))


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _cpu_minutes() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used) / 60


if __name__ == "__main__":
    main()
