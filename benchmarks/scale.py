"""What image size costs: latency, bytes and memory from 2 500² to 100 000², beside libvips; training; conversion.

``python -m benchmarks.scale --work /tmp/scale`` makes its images (texture everywhere; 5 GB for 100 000², kept in the
work folder for the next run), measures each thing in a process of its own, writes ``docs/results/scale.json`` and
``scale.png``, and prints the figures; the last line is JSON. With ``--parts`` it measures some of them and keeps what
the file says of the others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import matplotlib
import numpy as np

from benchmarks.machine import describe_machine

REPOSITORY = Path(__file__).resolve().parent.parent
SIZES = (2_500, 10_000, 30_000, 100_000)
TRAINING_SIDE = 2_500
BATCH_SIDE = 10_000
CONVERSION_SIDE = 10_000
# Crops of the size that the model takes by default, beside those of 224.
SMALL_CROP = 32
PARTS = ("single", "model", "batch", "training", "conversion")
COMPRESSIONS = ("jpeg", "deflate", "none")
# Size of a 256-pixel JPEG tile at quality 90 and its share of the coarser levels.
BYTES_PER_PIXEL = 0.8


def child(module: str, *arguments: object, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Runs a measurement in a process of its own, with more in its environment; the last line it prints is JSON."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=variables)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def pyramid(work: Path, side: int) -> Path:
    """The pyramid of that size with its Example beside it, written unless an earlier run left them."""
    from benchmarks.scale_images import write_large_pyramid

    path = work / f"{side}.tif"
    if not path.exists():
        needed, free = int(2 * side * side * BYTES_PER_PIXEL), shutil.disk_usage(work).free
        if needed > free:
            raise click.ClickException(
                f"{side} x {side} takes about {needed >> 30} GiB in {work}, {free >> 30} are free"
            )
        began = time.perf_counter()
        write_large_pyramid(path, side)
        click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.0f} MB) in {time.perf_counter() - began:.1f} s")
    costs = path.with_suffix(".json")
    if not costs.exists():
        costs.write_text(json.dumps(child("scale_index", path)))
    return path


def single(work: Path, sides: list[int], requests: int) -> dict[str, Any]:
    """Crops of one image by its size; those of the default size from one of the sizes."""
    found = {}
    for side in sides:
        path = pyramid(work, side)
        index = json.loads(path.with_suffix(".json").read_text())
        found[str(side)] = {"index": index, **child("scale_reading", "single", path, f"--count={requests}")}
        click.echo(f"{side}: {found[str(side)]}")
    if BATCH_SIDE in sides:
        path = pyramid(work, BATCH_SIDE)
        small = child("scale_reading", "single", path, f"--count={requests}", f"--crop={SMALL_CROP}")
        found[f"{BATCH_SIDE}, crops of {SMALL_CROP}"] = small
        click.echo(f"crops of {SMALL_CROP}: {small}")
    return found


def served_model(work: Path, sides: list[int], requests: int) -> dict[str, Any]:
    """The served model by the image's size."""
    model = work / "model" / "1"
    child("scale_model", "export", model, work)
    found = {}
    for side in sides:
        found[str(side)] = child("scale_model", "serve", model, pyramid(work, side), f"--count={requests}")
        click.echo(f"model, {side}: {found[str(side)]}")
    return found


def conversion(work: Path, side: int, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, ours and libvips' in turns."""
    from benchmarks.scale_images import write_source

    source = work / f"{side}.jpg"
    if not source.exists():
        write_source(source, side)
    figures: dict[str, Any] = {"side_px": side, "source_mb": round(source.stat().st_size / 1e6, 1)}
    for compression in COMPRESSIONS:
        runs: dict[str, list[dict[str, Any]]] = {"tfvs": [], "vips": []}
        for _ in range(rounds):
            for way, found in runs.items():
                target = work / "converted.tif"
                target.unlink(missing_ok=True)
                found.append(child("scale_conversion", way, source, target, compression))
        (work / "converted.tif").unlink()
        medians = {
            way: {
                "by": found[0]["by"],
                **{key: round(float(np.median([run[key] for run in found])), 3) for key in ("seconds", "peak_mb")},
            }
            for way, found in runs.items()
        }
        ratio = float(np.median([a["seconds"] / b["seconds"] for a, b in zip(*runs.values(), strict=True)]))
        figures[compression] = {**medians, "times_vips": round(ratio, 3)}
    return figures


def training_steps(work: Path, steps: int) -> dict[str, Any]:
    """Training from tiles and from whole images."""
    path = pyramid(work, TRAINING_SIDE)
    ways = {way: child("scale_training", way, path, f"--steps={steps}") for way in ("tiles", "dense")}
    return {"side_px": TRAINING_SIDE, **ways}


def summarize(figures: dict[str, Any]) -> dict[str, Any]:
    """The ratios that say whether image size matters."""
    summary: dict[str, Any] = {}
    for part in ("single", "model"):
        sides = sorted(int(side) for side in figures.get(part, ()) if side.isdecimal())
        if not sides:
            continue
        first, last = (figures[part][str(side)] for side in (sides[0], sides[-1]))
        if part == "single":
            first, last = first["crops"], last["crops"]
        for kind in ("p50_ms", "cpu_p50_ms"):
            name = f"{part}_{kind}_{sides[-1]}_over_{sides[0]}"
            summary[name] = round(last[kind] / first[kind], 3)
    if "model" in figures:
        growth = [one["memory_mb"]["requests_add_at_peak"] for one in figures["model"].values()]
        summary["largest_memory_growth_mb"] = max(growth)
    for side, one in figures.get("single", {}).items():
        ratios = {"crops_over_jpeg_decode": one["crops"]["p50_ms"] / one["jpeg_decode_alone"]["p50_ms"]}
        ratios["bytes_read_over_overlapped"] = one["bytes_ratio"]
        if "whole_decode" in one:
            ratios["whole_decode_over_crops"] = one["whole_decode"]["p50_ms"] / one["crops"]["p50_ms"]
        summary[side] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    return summary


def plot(figures: dict[str, Any], path: Path) -> None:
    """Latency against image size, double logarithmic."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    single = {int(side): one for side, one in figures["single"].items() if side.isdecimal()}
    for side, one in figures.get("model", {}).items():
        single[int(side)] = {**single.get(int(side), {}), "model": one}
    labels = {
        "crops": "crops from tiles, in the graph",
        "model": "whole model as it is served, from tiles",
        "crops_uncached": "crops from tiles, file not in the page cache",
        "vips_open_crop": "libvips: open and crop",
        "vips_warm_fetch": "libvips: fetch from open files",
        "whole_decode": "libvips: decode the whole image",
    }
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for key, label in labels.items():
        sides = sorted(side for side, one in single.items() if key in one)
        axes.plot(sides, [single[side][key]["p50_ms"] for side in sides], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="side of the image, pixels", ylabel="one image, 4 crops: median ms")
    axes.set_xticks(sorted(single), [f"{side:,}".replace(",", " ") for side in sorted(single)])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder that keeps the images.")
@click.option("--sizes", default=",".join(map(str, SIZES)), help="Sides of the square images, pixels.")
@click.option("--parts", default=",".join(PARTS), help="Parts to measure.")
@click.option("--requests", default=100, help="Number of requests per image size.")
@click.option("--batches", default=8, help="Number of batches of 32 images with 4 crops each.")
@click.option("--steps", default=8, help="Number of training steps.")
@click.option("--rounds", default=3, help="Number of conversions with each program and compression.")
@click.option("--output", type=click.Path(path_type=Path), default=REPOSITORY / "docs" / "results", help="For results.")
def main(
    work: Path, sizes: str, parts: str, requests: int, batches: int, steps: int, rounds: int, output: Path
) -> None:
    """Measures what image size costs on this machine."""
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    chosen, sides = parts.split(","), sorted(int(size) for size in sizes.split(","))
    if not set(chosen) <= set(PARTS):
        raise click.BadParameter(f"some of {', '.join(PARTS)}", param_hint="--parts")
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "single": lambda: single(work, sides, requests),
        "model": lambda: served_model(work, sides, requests),
        "batch": lambda: child("scale_reading", "batch", pyramid(work, BATCH_SIDE), f"--count={batches}"),
        "training": lambda: training_steps(work, steps),
        "conversion": lambda: conversion(work, CONVERSION_SIDE, rounds),
    }
    results = output / "scale.json"
    figures: dict[str, Any] = {}
    if set(chosen) != set(PARTS) and results.exists():
        figures = json.loads(results.read_text())
    for part in chosen:
        measured = {"date": describe_machine()["date"], "load_before": round(os.getloadavg()[0], 2)}
        figures[part] = ways[part]()
        figures.setdefault("measured", {})[part] = measured
        click.echo(f"{part}: {figures[part]}")
    figures["machine"] = describe_machine()
    figures["summary"] = summarize(figures)
    click.echo(f"summary: {figures['summary']}")
    output.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(figures, indent=2) + "\n")
    if "single" in figures:
        plot(figures, output / "scale.png")
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
