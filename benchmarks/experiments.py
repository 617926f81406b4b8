"""The paper's experiments and what each of them runs: a benchmark of this folder with fixed arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Experiment(NamedTuple):
    """One run.

    Attributes:
      name: What ``--only`` takes.
      section: Heading on the page.
      title: What it is, in a few words; runs of one title are seeds of one setting and share a row.
      paper: The paper's figure, as text.
      module: The benchmark.
      arguments: Its arguments, without data and folders.
      minutes: About how many minutes of one core it takes at most.
      quick: Arguments that make it tiny, and last.
      figure: Reads the figure from the JSON.
      kind: Runs of one section and kind are tried once by ``--quick``.
      setting: What an ablation varies, a number; None for the learned variance.
    """

    name: str
    section: str
    title: str
    paper: str
    module: str
    arguments: tuple[str, ...]
    minutes: int
    quick: tuple[str, ...]
    figure: Callable[[dict[str, Any]], str]
    kind: str
    setting: float | None = None

    @property
    def result(self) -> str:
        """File name of its JSON."""
        return f"{PREFIXES.get(self.module, '')}{self.name}.json"


PREFIXES = {"accuracy": "accuracy-"}  # of the results of benchmarks whose experiments are called without it

BOTH, SUM, ONE = "Both digits among clutter", "Sum of two digits", "One digit among clutter: ST and LST"
SANITY = "One digit among clutter on 60²: whether RAM and DRAM are what their papers describe"
NOISY = "A noisy proxy (figure 4): both digits after three epochs, three seeds"
VARIANCE = "Fixed and learned variance, attention on the proxy: both digits after three epochs, three seeds"
PAPER_VARIANCE = (
    "Fixed and learned variance, the paper's parametrisation on the noisiest proxy (1 % kept), as in the paper: both "
    "digits after six epochs, three seeds"
)
TRAINED = "Both digits at 2 528², trained from tiles"
LARGE = "Large images: 2 528² against ResNet18 on 144 crops, random weights"
SMALL = "Small things in huge images: Megapixel MNIST"
MARINES = "Counting marines in simulated battles"


def _accuracy(report: dict[str, Any]) -> str:
    text = f"{100 * report['accuracy']:.2f}"
    sampled = report.get("accuracy_of_samples")
    return f"{text} / {100 * sampled:.2f}" if sampled is not None else text


def _counts(report: dict[str, Any]) -> str:
    return f"{100 * report['accuracy']:.1f}, within one marine {100 * report['within_one']:.1f}"


def _margins(report: dict[str, Any]) -> str:
    """By how much the gradients differ without a margin, for each width of the crop, and with it at most."""
    widths = report["widths_px"]
    without = ", ".join(f"{100 * found['0']['gradient']:.2g} % at {width} px" for width, found in widths.items())
    largest = max(found["1"]["gradient"] for found in widths.values())
    return f"without {without}; with one pixel at most {100 * largest:.1g} %"


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


# Few images and looks, and for networks that read every pixel fewer still.
TWO_LOOKS = "--override=num_steps=2"
FEW_IMAGES = ("--train-images=8", "--test-images=8", "--batch-size=4")
TINY = ("--train-images=32", "--test-images=16", "--batch-size=16", "--threads=1")
TINY_CANVASES = (*TINY, "--epoch-images=32", "--eval-images=16", "--epochs=1")
TINY_MODELS = {
    "saccader": (TWO_LOOKS, "--num-samples=2"),
    "resnet18": (*FEW_IMAGES, "--epoch-images=8"),
    "ram": (TWO_LOOKS, "--override=num_samples=2"),
    "dram": (TWO_LOOKS, "--override=num_samples=2"),
}
TINY_LARGE = (*TINY, "--epoch-images=32", "--epochs=1", "--side=300")
TINY_MEGAPIXEL = (*TINY, "--passes=1", "--num-samples=2", "--side=300", "--override=cells=[18,18]", "--num-steps=2")
TINY_MARINES = (*TINY, "--passes=1", "--reading-passes=0.5", "--reading-looks=2", "--steps-per-epoch=1", "--screen=256")
TINY_COUNTERS = {"categorical": (TWO_LOOKS,), "gaussian": (TWO_LOOKS,), "resnet18": FEW_IMAGES, "minimap": ()}
NAMES = {"saccader": "variational saccading", "resnet18": "ResNet18 on whole images", "ram": "RAM", "dram": "DRAM"}


def _two_digits(
    section: str,
    task: str,
    model: str,
    paper: str,
    minutes: int,
    epochs: int,
    *more: str,
    label: str = "",
    seed: int = 1,
) -> Experiment:
    arguments = (f"--task={task}", f"--model={model}", f"--seed={seed}", "--threads=1", f"--epochs={epochs}", *more)
    return Experiment(
        name="-".join(part for part in (task, model, label, str(seed)) if part),
        section=section,
        title=NAMES[model] + (f", {label.replace('-', ' ')}" if label else "") + f", seed {seed}",
        paper=paper,
        module="accuracy",
        arguments=arguments + ((f"--label={label}",) if label else ()),
        minutes=minutes,
        quick=(*TINY_CANVASES, *TINY_MODELS[model]),
        figure=_accuracy,
        kind=f"{model} {label}",
    )


def _ablation(
    section: str, kind: str, settings: tuple[float | None, ...], title: str, minutes: int, epochs: int, option: str,
    *more: str,
) -> tuple[Experiment, ...]:  # fmt: skip
    """Short runs of every setting with three seeds, which share a row."""
    runs = []
    for setting in settings:
        value = "null" if setting is None else f"{setting:g}"
        for seed in (1, 2, 3):
            run = _two_digits(
                section, "identify", "saccader", "", minutes, epochs, f"{option}{value}", FAST, *more,
                label=f"{kind}-{value}", seed=seed,
            )  # fmt: skip
            shown = title.format("learned" if setting is None else value)
            runs.append(run._replace(title=shown, kind=kind, setting=setting))
    return tuple(runs)


def _large(title: str, paper: str, minutes: int, model: str, canvases: str, *more: str, label: str = "") -> Experiment:
    return Experiment(
        name="-".join(part for part in ("large", canvases, model, label, "1") if part),
        section=TRAINED,
        title=title,
        paper=paper,
        module="large_digits",
        arguments=(f"--model={model}", f"--canvases={canvases}", "--seed=1", f"--minutes={minutes}", *more)
        + ((f"--label={label}",) if label else ()),
        minutes=minutes,
        quick=(*TINY_LARGE, *TINY_MODELS[model]),
        figure=_accuracy,
        kind=f"{model} {canvases} {label}",
    )


def _megapixel(
    side: int, images: int, peers: str, minutes: int, passes: int, per_test: int, label: str, seed: int
) -> Experiment:
    name = "-".join(part for part in ("megapixel", str(side), str(images), label, str(seed)) if part)
    arguments = (f"--side={side}", f"--train-images={images}", f"--seed={seed}", f"--passes={passes}",
                 f"--passes-per-test={per_test}", "--minutes=60")  # fmt: skip
    return Experiment(
        name=name,
        section=SMALL,
        title=f"{images} images of {side}², {label.replace('-', ' ')}{', ' if label else ''}seed {seed}",
        paper=peers,
        module="megapixel",
        arguments=("--threads=1", FAST, *arguments)
        + ((f"--label={label}", "--override=crop_dropout=0") if label else ()),
        minutes=minutes,
        quick=TINY_MEGAPIXEL,
        figure=_accuracy,
        kind="",
    )


def _marines(
    title: str, paper: str, minutes: int, model: str, passes: float, *arguments: str, name: str = "", seed: int = 1
) -> Experiment:
    name = name or model
    return Experiment(
        name=f"starcraft2-{name}-20000-{seed}",
        section=MARINES,
        title=f"{title}, seed {seed}",
        paper=paper,
        module="starcraft2",
        arguments=(
            f"--model={model}",
            f"--seed={seed}",
            f"--passes={passes}",
            "--steps-per-epoch=125",
            "--train-images=20000",
            "--minutes=60",
            *arguments,
        ),
        minutes=minutes,
        quick=(*TINY_MARINES, *TINY_COUNTERS[model]),
        figure=_counts,
        kind=name,
    )


RAM_SCALES = "--override=num_scales=4"  # at 100², as public versions have it
FAST = "--dtype=mixed_bfloat16"  # 1.2 to 1.6 times as many steps per minute on processors that have bfloat16
LONG = ("--minutes=240", FAST)
BARE = "without-dropout"  # as Megapixel MNIST was run before the preset dropped features
LOCALIZED = "--override=localized=true"
# Two-digit MNIST with places of the grid of cells and evidence that adds up, by the recipe of Megapixel MNIST.
PLACES = (
    "--train-images=120000", FAST, "--zoom", "0.4", "0.4", "0", "1",
    *(
        f"--override={field}"
        for field in (
            'posterior="categorical"', "cells=[16,16]", 'look_pooling="evidence"', "num_steps=6", "crop_dropout=0.3",
            "min_scale=0.36", "max_scale=0.4", "prior_power=8",
        )
    ),
)  # fmt: skip
# Fresh canvases, features of the looks dropped, averaged weights, and four looks in every task.
REGULARIZED = (
    "--train-images=120000", FAST, "--average-weights=0.999", "--override=crop_dropout=0.3", "--override=num_steps=4",
)  # fmt: skip
KEPT: tuple[float | None, ...] = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
NOISES: tuple[float | None, ...] = (20, 60)
STDDEVS: tuple[float | None, ...] = (None, 0.02, 0.05, 0.08, 0.15, 0.3, 0.5)
PAPER_STDDEVS: tuple[float | None, ...] = (None, 0.6, 0.9, 1.2, 1.4, 1.6, 2, 5)
STDDEV = "--override=posterior_stddev="


def _regularized(section: str, task: str, paper: str) -> tuple[Experiment, ...]:
    """Two seeds of what is to reach the aims."""
    return tuple(
        _two_digits(section, task, "saccader", paper, 60, 20, *REGULARIZED, label="regularized", seed=seed)
        for seed in (1, 2)
    )


EXPERIMENTS = (
    *(_two_digits(BOTH, "identify", "saccader", "95.42", 45, 16, seed=seed) for seed in (1, 2)),
    _two_digits(BOTH, "identify", "saccader", "95.42", 42, 10, *PLACES, label="categorical"),
    *_regularized(BOTH, "identify", "95.42"),
    _two_digits(
        BOTH, "identify", "saccader", "95.42", 200, 22, "--preset=paper", "--minutes=360", FAST, label="paper-size"
    ),
    _two_digits(BOTH, "identify", "resnet18", "97.4", 42, 3, "--epoch-images=29984"),
    _two_digits(BOTH, "identify", "resnet18", "97.4", 140, 8, "--minutes=600", FAST, label="to-convergence"),
    _two_digits(BOTH, "identify", "ram", "93", 150, 24, *LONG, RAM_SCALES),
    _two_digits(BOTH, "identify", "dram", "95", 150, 24, *LONG),
    _two_digits(SUM, "sum", "saccader", "97.2", 29, 10),
    *_regularized(SUM, "sum", "97.2"),
    _two_digits(SUM, "sum", "resnet18", "99.86", 26, 2, "--epoch-images=27008"),
    _two_digits(SUM, "sum", "resnet18", "99.86", 140, 8, "--minutes=600", FAST, label="to-convergence"),
    _two_digits(SUM, "sum", "ram", "91", 150, 24, *LONG, RAM_SCALES),
    _two_digits(SUM, "sum", "dram", "97.5", 150, 24, *LONG),
    _two_digits(ONE, "one", "saccader", "97", 11, 6, label="spatial"),
    _two_digits(ONE, "one", "saccader", "–", 11, 6, LOCALIZED, "--override=margin_px=1", label="localized"),
    _two_digits(
        ONE, "one", "saccader", "68", 11, 6, LOCALIZED, "--override=margin_px=0", label="localized-without-margin"
    ),
    Experiment(
        "margins", ONE, "difference of the gradients in a crop's edges, without a margin and with one pixel", "–",
        "margins", (), 1, ("--images=8",), _margins, "margins",
    ),
    *_regularized(ONE, "one", "97"),
    *(
        _two_digits(SANITY, "one", model, paper, 65, 11, "--canvas=60", "--distractors=4", "--minutes=120", label="60")
        for model, paper in (("ram", "95.96 or 94.77, its own paper"), ("dram", "–"))
    ),
    *_ablation(NOISY, "keep", KEPT, "share kept {}", 8, 3, "--proxy-keep="),
    *_ablation(NOISY, "noise", NOISES, "noise of {} grey levels", 8, 3, "--proxy-noise="),
    *_ablation(VARIANCE, "stddev", STDDEVS, "σ {}", 8, 3, STDDEV),
    *_ablation(
        PAPER_VARIANCE, "paper-stddev", PAPER_STDDEVS, "σ {}", 15, 6, STDDEV, "--override=attends=false",
        f"--proxy-keep={KEPT[-1]}",
    ),
    *(
        _megapixel(side, images, peers, minutes, passes, per_test, label, seed)
        for side, images, peers, minutes, passes, per_test, runs in (
            (1500, 5000, "ATS about 80, IPS 99.1", 20, 24, 4, (("", 1), ("", 2), (BARE, 1))),
            (1500, 1000, "IPS 66.6, at 3 000²", 10, 60, 15, (("", 1), ("", 2), (BARE, 1))),
            (1500, 300, "IPS 30.1, 600 images at 3 000²", 5, 80, 20, (("", 1), ("", 2), (BARE, 1), (BARE, 2))),
            (3000, 5000, "IPS 99.1", 40, 16, 4, (("", 1), ("", 2))),
        )
        for label, seed in runs
    ),
    Experiment(
        "headline", LARGE, "an answer and a training step", "inference 10 times faster with 5 % of the memory",
        "headline", (), 12, ("--quick",), _times, "",
    ),
    _large("variational saccading, enlarged canvases, seed 1", "95.23", 120, "saccader", "enlarged", "--epochs=40"),
    _large(
        "variational saccading, the paper's size, enlarged canvases, seed 1", "95.23", 360, "saccader", "enlarged",
        "--epochs=40", "--preset=paper", label="paper-size",
    ),
    _large("variational saccading, digits of 28 pixels, seed 1", "–", 120, "saccader", "native", "--epochs=10"),
    _large(
        "ResNet18 on 144 crops, enlarged canvases, the same minutes, 200 test images, seed 1", "97.3", 120, "resnet18",
        "enlarged", "--epochs=10", "--epoch-images=40", "--batch-size=8", "--test-images=200",
    ),
    *(
        _marines("looks that share no place", "50", 50, "categorical", 5.4, seed=seed)
        for seed in (1, 2)
    ),
    _marines("the paper's posterior", "50", 55, "gaussian", 3.2),
    _marines("ResNet18 on 224²", "65", 50, "resnet18", 2.4, name="resnet18-224"),
    _marines("ResNet18 on the screen's own pixels", "–", 55, "resnet18", 0.1, "--side=0", "--batch-size=8",
             name="resnet18-1024"),
    _marines("ResNet18 that sees the minimap alone", "–", 30, "minimap", 10),
)  # fmt: skip

# What the paper has and no command here reproduces, and why.
MISSING = (
    ("MIT-Adobe FiveK, six classes", "62.7 / 63.6", "`pipelines/adobe5k.py` runs; its photographs were not at hand"),
    (
        "StarCraft II, count of marines in the game's own images",
        "50 / 65",
        "the game and the paper's data cannot be had",
    ),
)


def one_of_each() -> list[Experiment]:
    """The last experiment of each section and kind: what tries the whole machinery."""
    return list({(experiment.section, experiment.kind): experiment for experiment in EXPERIMENTS}.values())


def command(experiment: Experiment, digits: str, results: Path, runs: Path, quick: bool) -> list[str]:
    """What runs it: the module and its arguments. Quick runs share no folder, so that they may run at the same time."""
    given = [] if experiment.module == "starcraft2" else [f"--digits={digits}"]
    own = experiment.name if quick else experiment.module
    folders = [f"--results={results}"] + ([] if experiment.module == "margins" else [f"--runs={runs / own}"])
    if experiment.module in ("megapixel", "large_digits", "starcraft2"):
        folders.append(f"--data={runs / 'data' / own}")
    tiny = experiment.quick if quick else ()
    return [f"benchmarks.{experiment.module}", *given, *experiment.arguments, *folders, *tiny]
