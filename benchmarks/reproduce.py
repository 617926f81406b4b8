"""The paper's experiments, each by a command, and the page that shows their figures beside the paper's.

    python -m benchmarks.reproduce --list
    python -m benchmarks.reproduce --digits mnist.npz --only identify-saccader
    python -m benchmarks.reproduce --quick --digits uci --results /tmp/quick   # everything, tiny, to try the machinery
    python -m benchmarks.reproduce --page                                      # writes docs/reproduction.md anew

An experiment is a benchmark of this folder with fixed arguments; it writes a JSON file, and one whose file is there is
not run again unless ``--again`` is given. A run that was stopped goes on from its checkpoint. ``docs/reproduction.md``
is made from the JSON files alone.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reproduction.md"
RESULTS = ROOT / "docs" / "results"


class Experiment(NamedTuple):
    """One run.

    Attributes:
      name: What ``--only`` takes.
      section: Heading on the page.
      title: What it is, in a few words.
      paper: The paper's figure, as text.
      module: The benchmark.
      arguments: Its arguments, without data and folders.
      minutes: About how many minutes of one core it takes.
      result: File name of its JSON.
      quick: Arguments that make it tiny, and last.
      figure: Reads the figure from the JSON.
    """

    name: str
    section: str
    title: str
    paper: str
    module: str
    arguments: tuple[str, ...]
    minutes: int
    result: str
    quick: tuple[str, ...]
    figure: Callable[[dict[str, Any]], str]


def _accuracy(report: dict[str, Any]) -> str:
    text = f"{100 * report['accuracy']:.2f}"
    sampled = report.get("accuracy_of_samples")
    return f"{text} / {100 * sampled:.2f}" if sampled is not None else text


def _times(report: dict[str, Any]) -> str:
    """How many times faster, and the share of the memory, at the paper's size and at the default one."""
    texts = []
    for size, ratios in report["ratios"].items():
        shares = [f"{100 / ratios[f'{phase}_memory']:.1f}" for phase in ("inference", "training")]
        texts.append(
            f"{size} size: inference {ratios['inference_time']:.0f} times faster with {shares[0]} % of the memory, "
            f"training {ratios['training_time']:.0f} times with {shares[1]} %, "
            f"{ratios['flops']:.0f} times fewer operations"
        )
    return "; ".join(texts)


TINY_CANVASES = ("--train-images=64", "--epoch-images=64", "--test-images=32", "--epochs=1", "--batch-size=16")
TINY_MEGAPIXEL = ("--train-images=64", "--test-images=32", "--passes=1", "--batch-size=16", "--num-samples=2")
BOTH, SUM, ONE = "Both digits among clutter", "Sum of two digits", "One digit among clutter: ST and LST"
NOISY = "A noisy proxy (figure 4): both digits after three epochs, three seeds"
VARIANCE = "Fixed and learned variance (null: learned): both digits after three epochs, three seeds"
KEPT, NOISES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01), (20, 60)
STDDEVS = ("null", "0.02", "0.05", "0.08", "0.15", "0.3", "0.5")
SMALL = "Small things in huge images: Megapixel MNIST"
LARGE = "Large images: 2 528² against ResNet18 on 144 crops, random weights"


def _two_digits(
    task: str, model: str, paper: str, minutes: int, epochs: int, *more: str, label: str = "", seed: int = 1
) -> Experiment:
    section = {"identify": BOTH, "sum": SUM, "one": ONE}[task]
    result = "-".join(part for part in ("accuracy", task, model, label, str(seed)) if part)
    names = {"saccader": "variational saccading", "resnet18": "ResNet18 on whole images", "ram": "RAM", "dram": "DRAM"}
    title = names[model] + (f", {label}" if label else "") + f", seed {seed}"
    arguments = (f"--task={task}", f"--model={model}", f"--seed={seed}", "--threads=1", f"--epochs={epochs}", *more)
    arguments += (f"--label={label}",) if label else ()
    name = result.removeprefix("accuracy-")
    return Experiment(
        name, section, title, paper, "accuracy", arguments, minutes, f"{result}.json", TINY_CANVASES, _accuracy
    )


def _megapixel(name: str, title: str, peers: str, minutes: int, *arguments: str) -> Experiment:
    return Experiment(
        f"megapixel-{name}",
        SMALL,
        title,
        peers,
        "megapixel",
        ("--threads=1", "--dtype=mixed_bfloat16", *arguments),
        minutes,
        f"megapixel-{name}.json",
        TINY_MEGAPIXEL,
        _accuracy,
    )


def _ablation(section: str, setting: str, *arguments: str) -> tuple[Experiment, ...]:
    """Short runs of one setting with three seeds, which share a row."""
    runs = [
        _two_digits("identify", "saccader", "", 9, 3, *arguments, label=setting.replace(" ", "-"), seed=seed)
        for seed in (1, 2, 3)
    ]
    return tuple(run._replace(section=section, title=setting) for run in runs)


BARE = "without-dropout"  # as Megapixel MNIST was run before the preset dropped features
LOCALIZED = ("--override=localized=true",)
# Two-digit MNIST with places of the grid of cells and evidence that adds up, by the recipe of Megapixel MNIST.
PLACES = (
    "--train-images=120000", "--dtype=mixed_bfloat16", "--zoom", "0.4", "0.4", "0", "1",
    *(
        f"--override={field}"
        for field in (
            'posterior="categorical"', "cells=[16,16]", 'look_pooling="evidence"', "num_steps=6", "crop_dropout=0.3",
            "min_scale=0.36", "max_scale=0.4", "prior_power=8",
        )
    ),
)  # fmt: skip
EXPERIMENTS = (
    _two_digits("identify", "saccader", "95.42", 45, 16),
    _two_digits("identify", "saccader", "95.42", 45, 16, seed=2),
    _two_digits("identify", "saccader", "95.42", 42, 10, *PLACES, label="categorical"),
    _two_digits("identify", "resnet18", "97.4", 42, 3, "--epoch-images=29984"),
    _two_digits("identify", "ram", "93", 240, 40, "--minutes=240", "--override=num_scales=4"),
    _two_digits("identify", "dram", "95", 240, 40, "--minutes=240"),
    _two_digits("sum", "saccader", "97.2", 29, 10),
    _two_digits("sum", "resnet18", "99.86", 26, 2, "--epoch-images=27008"),
    _two_digits("sum", "ram", "91", 240, 40, "--minutes=240", "--override=num_scales=4"),
    _two_digits("sum", "dram", "97.5", 240, 40, "--minutes=240"),
    _two_digits("one", "saccader", "97", 11, 6, label="spatial"),
    _two_digits("one", "saccader", "–", 11, 6, *LOCALIZED, "--override=margin_px=1", label="localized"),
    _two_digits("one", "saccader", "68", 11, 6, *LOCALIZED, "--override=margin_px=0", label="localized-without-margin"),
    *(run for share in KEPT for run in _ablation(NOISY, f"keep {share:g}", f"--proxy-keep={share:g}")),
    *(run for grey in NOISES for run in _ablation(NOISY, f"noise {grey}", f"--proxy-noise={grey}")),
    *(run for s in STDDEVS for run in _ablation(VARIANCE, f"stddev {s}", f"--override=posterior_stddev={s}")),
    *(
        _megapixel(
            "-".join(part for part in (str(side), str(images), label, str(seed)) if part),
            f"{images} images of {side}², {label.replace('-', ' ')}{', ' if label else ''}seed {seed}", peers, minutes,
            f"--side={side}", f"--train-images={images}", f"--seed={seed}", f"--passes={passes}",
            f"--passes-per-test={passes_per_test}", "--minutes=60",
            *(() if not label else (f"--label={label}", "--override=crop_dropout=0")),
        )
        for side, images, peers, minutes, passes, passes_per_test, runs in (
            (1500, 5000, "ATS about 80, IPS 99.1", 20, 24, 4, (("", 1), ("", 2), (BARE, 1))),
            (1500, 1000, "IPS 66.6, at 3 000²", 10, 60, 15, (("", 1), ("", 2), (BARE, 1))),
            (1500, 300, "IPS 30.1, 600 images at 3 000²", 5, 80, 20, (("", 1), ("", 2), (BARE, 1), (BARE, 2))),
            (3000, 5000, "IPS 99.1", 40, 16, 4, (("", 1), ("", 2))),
        )
        for label, seed in runs
    ),
    Experiment(
        "headline", LARGE, "an answer and a training step", "inference 10 times faster with 5 % of the memory",
        "headline", (), 12, "headline.json", ("--quick",), _times,
    ),
)  # fmt: skip

# What the paper has and no command here reproduces yet, and why.
MISSING = (
    (
        "Accuracy of both digits at 2 528², saccading and ResNet18 on 144 crops",
        "95.23 / 97.3",
        "not run: training takes hours per model",
    ),
    ("MIT-Adobe FiveK, six classes", "62.7 / 63.6", "`pipelines/adobe5k.py` runs; its photographs were not at hand"),
    ("StarCraft II, count of marines", "50 / 65", "the game and the paper's data cannot be had"),
)


def one_of_each() -> list[Experiment]:
    """The first experiment of each section and model, and of each set of options: what tries the whole machinery."""
    kinds: dict[tuple[str, ...], Experiment] = {}
    for experiment in EXPERIMENTS:
        options = (text if text.startswith("--model=") else text.partition("=")[0] for text in experiment.arguments)
        kinds.setdefault((experiment.section, *sorted(set(options) - {"--label", "--side"})), experiment)
    return list(kinds.values())


def command(experiment: Experiment, digits: str, results: Path, runs: Path, quick: bool) -> list[str]:
    """What runs it."""
    folders = [f"--results={results}", f"--runs={runs / experiment.module}"]
    if experiment.module == "megapixel":
        folders.append(f"--data={runs / 'data' / experiment.module}")
    tiny = experiment.quick if quick else ()
    return [f"benchmarks.{experiment.module}", f"--digits={digits}", *experiment.arguments, *folders, *tiny]


def page(results: Path) -> str:
    """The Markdown of ``docs/reproduction.md``, from the JSON files in ``results``."""
    lines = [
        "# The paper's experiments",
        "",
        "This page is written by `python -m benchmarks.reproduce --page` from the files in `docs/results`; no figure",
        "is typed. Accuracy is in per cent on the test images. Where two figures stand, the first follows the",
        "likeliest places and the second averages sampled trajectories. Minutes are the processor's, tests included.",
        "The command of each row is printed by `python -m benchmarks.reproduce --list`. What the figures mean:",
        "[Accuracy](accuracy.md), [Large images](large_images.md), [Small things](megapixel.md).",
        "",
    ]
    for section in dict.fromkeys(experiment.section for experiment in EXPERIMENTS):
        lines += [f"## {section}", ""]
        lines += ["| | `--only` | paper or peers | here | minutes | machine and date |", "|---|---|---|---|---|---|"]
        rows: dict[str, list[Experiment]] = {}
        for experiment in EXPERIMENTS:
            if experiment.section == section:
                rows.setdefault(experiment.title, []).append(experiment)
        lines += [_row(title, runs, results) for title, runs in rows.items()]
        lines.append("")
    lines += ["## Not reproduced", "", "| | paper | |", "|---|---|---|"]
    lines += [f"| {what} | {figure} | {why} |" for what, figure, why in MISSING]
    return "\n".join(lines) + "\n"


def _row(title: str, runs: list[Experiment], results: Path) -> str:
    """One row: a run, or the mean and standard deviation over the seeds of one setting."""
    reports = [json.loads((results / run.result).read_text()) for run in runs if (results / run.result).exists()]
    names = ", ".join(f"`{run.name}`" for run in runs)
    if not reports:
        return f"| {title} | {names} | {runs[0].paper or '–'} | not run | about {sum(r.minutes for r in runs)} | |"
    machine = reports[-1]["machine"]
    where = f"{_processor(machine['cpu'])}, {machine['cores']} cores, {machine['date']}"
    minutes = sum(report["cpu_minutes"] for report in reports)
    if len(runs) == 1:
        ours = runs[0].figure(reports[0])
    else:
        found = [100 * report["accuracy"] for report in reports]
        spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
        ours = f"{statistics.mean(found):.2f}{spread} ({len(found)} of {len(runs)} seeds)"
    return f"| {title} | {names} | {runs[0].paper or '–'} | **{ours}** | {minutes:.0f} | {where} |"


def _processor(name: str) -> str:
    for word in ("AMD EPYC", "Xeon"):
        if word in name:
            return word if word.startswith("AMD") else "Intel Xeon"
    return name


def _list(results: Path) -> None:
    for experiment in EXPERIMENTS:
        path = results / experiment.result
        last = experiment.figure(json.loads(path.read_text())) if path.exists() else "not run"
        click.echo(f"{experiment.name:32} {experiment.minutes:4} min   {last}")
        click.echo(f"    python -m benchmarks.{experiment.module} --digits=DIGITS {' '.join(experiment.arguments)}")


@click.command()
@click.option("--list", "lists", is_flag=True, help="Print every experiment, its minutes, last result and command.")
@click.option("--page", "writes_page", is_flag=True, help="Write docs/reproduction.md from the results that are there.")
@click.option("--only", multiple=True, type=click.Choice([e.name for e in EXPERIMENTS]), help="Run these alone.")
@click.option("--quick", is_flag=True, help="Run tiny versions, which show nothing but that everything works.")
@click.option("--again", is_flag=True, help="Run what has a result, too.")
@click.option(
    "--digits", default="mnist", show_default=True, help="uci, mnist (keras.datasets) or the path of an .npz."
)
@click.option("--results", type=click.Path(path_type=Path), help="Folder of the JSON files. [default: docs/results]")
@click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Checkpoints and logs."
)
def main(
    lists: bool,
    writes_page: bool,
    only: tuple[str, ...],
    quick: bool,
    again: bool,
    digits: str,
    results: Path | None,
    runs: Path,
) -> None:
    """Runs the paper's experiments, or shows what there is to run."""
    if quick and results is None:
        raise click.UsageError("--quick wants --results: a folder of its own, so that real results stay")
    folder = results or RESULTS
    if lists:
        _list(folder)
    elif not writes_page:
        chosen = [e for e in (one_of_each() if quick else EXPERIMENTS) if not only or e.name in only]
        for number, experiment in enumerate(chosen, 1):
            if (folder / experiment.result).exists() and not again:
                click.echo(f"[{number}/{len(chosen)}] {experiment.name}: there is a result; --again runs it anew")
                continue
            arguments = command(experiment, digits, folder, runs / "quick" if quick else runs, quick)
            click.echo(f"[{number}/{len(chosen)}] {experiment.name}: python -m {' '.join(arguments)}")
            begun = time.monotonic()
            done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=False)
            if done.returncode:
                raise click.ClickException(f"{experiment.name} ended with exit code {done.returncode}")
            click.echo(f"    {(time.monotonic() - begun) / 60:.1f} min")
    if writes_page or not (lists or quick):
        PAGE.write_text(page(folder), encoding="utf-8")
        click.echo(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
