"""What image size costs: latency, bytes and memory from 2 500² to 100 000², beside libvips; training; conversion.

``python -m benchmarks.scale --work /tmp/scale`` makes its images (texture everywhere; 5 GB for 100 000², kept in the
work folder for the next run), measures each thing in a process of its own, writes ``docs/results/scale.json`` and
``scale.png``, and prints the figures; the last line is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
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
COMPRESSIONS = ("jpeg", "deflate", "none")
# Of a 256-pixel JPEG tile at quality 90 and its share of the coarser levels.
BYTES_PER_PIXEL = 0.8


def child(module: str, *arguments: object) -> dict[str, Any]:
    """Runs a measurement in a process of its own; the last line it prints is JSON."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def pyramid(work: Path, side: int) -> Path:
    """The pyramid of that size, written unless an earlier run left it."""
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
    return path


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


def summarize(figures: dict[str, Any]) -> dict[str, Any]:
    """The ratios that say whether image size matters."""
    single = figures["single"]
    first, last = single[min(single, key=int)], single[max(single, key=int)]
    summary = {
        "sizes": f"{last['side_px']} against {first['side_px']}",
        "crops_latency_ratio": round(last["crops"]["p50_ms"] / first["crops"]["p50_ms"], 3),
        "model_latency_ratio": round(last["model"]["p50_ms"] / first["model"]["p50_ms"], 3),
        "largest_bytes_ratio": max(one["bytes_ratio"] for one in single.values()),
        "largest_memory_growth_mb": max(one["memory_mb"]["requests_add_at_peak"] for one in single.values()),
    }
    for side, one in single.items():
        if "whole_decode" in one:
            ratio = one["whole_decode"]["p50_ms"] / one["crops"]["p50_ms"]
            summary[f"whole_decode_over_crops_at_{side}"] = round(ratio, 1)
    if "single_small_crops" in figures:
        small = figures["single_small_crops"]
        ratio = small["whole_decode"]["p50_ms"] / small["crops"]["p50_ms"]
        summary[f"whole_decode_over_crops_of_{SMALL_CROP}_at_{small['side_px']}"] = round(ratio, 1)
    return summary


def plot(figures: dict[str, Any], path: Path) -> None:
    """Latency against image size, double logarithmic."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    single = {int(side): one for side, one in figures["single"].items()}
    labels = {
        "crops": "crops from tiles, in the graph",
        "model": "whole model, from tiles",
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
@click.option("--requests", default=100, help="Requests an image size.")
@click.option("--batches", default=8, help="Batches of 32 images with 4 crops each.")
@click.option("--steps", default=8, help="Training steps; 0: no training.")
@click.option("--rounds", default=3, help="Conversions each way and compression; 0: none.")
@click.option("--output", type=click.Path(path_type=Path), default=REPOSITORY / "docs" / "results", help="For results.")
def main(work: Path, sizes: str, requests: int, batches: int, steps: int, rounds: int, output: Path) -> None:
    """Measures what image size costs on this machine."""
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"machine": describe_machine(), "load_before": os.getloadavg()[0], "single": {}}
    for side in sorted(int(size) for size in sizes.split(",")):
        figures["single"][str(side)] = child("scale_reading", "single", pyramid(work, side), f"--count={requests}")
        click.echo(f"{side}: {figures['single'][str(side)]}")
    if BATCH_SIDE in map(int, figures["single"]):
        path = pyramid(work, BATCH_SIDE)
        small = child("scale_reading", "single", path, f"--count={requests}", f"--crop={SMALL_CROP}")
        figures["single_small_crops"] = small
        click.echo(f"crops of {SMALL_CROP}: {small}")
    if batches:
        figures["batch"] = child("scale_reading", "batch", pyramid(work, BATCH_SIDE), f"--count={batches}")
        click.echo(f"batch: {figures['batch']}")
    if steps:
        path = pyramid(work, TRAINING_SIDE)
        figures["training"] = {
            "side_px": TRAINING_SIDE,
            **{way: child("scale_training", way, path, f"--steps={steps}") for way in ("tiles", "dense")},
        }
        click.echo(f"training: {figures['training']}")
    if rounds:
        figures["conversion"] = conversion(work, CONVERSION_SIDE, rounds)
        click.echo(f"conversion: {figures['conversion']}")
    figures["summary"] = summarize(figures)
    click.echo(f"summary: {figures['summary']}")
    output.mkdir(parents=True, exist_ok=True)
    (output / "scale.json").write_text(json.dumps(figures, indent=2) + "\n")
    plot(figures, output / "scale.png")
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
