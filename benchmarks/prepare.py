"""Images and megapixels per second of the prepare job, beside libvips alone on the same files; memory of a huge image.

python -m benchmarks.prepare --output docs/results/prepare.json
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import pyvips

from benchmarks.machine import describe_machine

REPOSITORY = Path(__file__).resolve().parent.parent
FIVEK_IMAGES = 5000
ALONE, ONE, DIRECT = "vips tiffsave alone", "1 worker", "1 worker, direct decoder"
MODES: dict[str, list[str]] = {
    ONE: [],
    "2 threads": ["--direct_running_mode=multi_threading", "--direct_num_workers=2"],
    "2 processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}


def make_images(folder: Path, count: int, side: int) -> None:
    """Noise with structure, as JPEG: worse to compress than canvases, better than pure noise."""
    for index in range(count):
        noise = pyvips.Image.perlin(side, side * 3 // 4, seed=index, uchar=True)
        image = noise.bandjoin([noise.rot180(), noise.invert()]).copy(interpretation="srgb")
        (folder / f"class{index % 2}").mkdir(parents=True, exist_ok=True)
        image.jpegsave(str(folder / f"class{index % 2}" / f"{index:05d}.jpg"))


def time_vips(folder: Path, output: Path) -> float:
    """Seconds of ``vips tiffsave`` alone, one image after the other on one core."""
    pyvips.concurrency_set(1)
    started = time.perf_counter()
    for path in sorted(folder.rglob("*.jpg")):
        image = pyvips.Image.new_from_file(str(path), access="sequential")
        image.tiffsave(
            str(output),
            tile=True,
            pyramid=True,
            compression="jpeg",
            Q=90,
            tile_width=256,
            tile_height=256,
            bigtiff=True,
        )
    return time.perf_counter() - started


def time_job(folder: Path, output: Path, beam_args: list[str], decoder: str) -> float:
    """Seconds of the whole job, without imports in the launcher."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.job import run_job
    from tfvs.images.proxy import ProxyRecipe
    from tfvs.preparation.job import Job
    from tfvs.preparation.options import PrepareOptions
    from tfvs.preparation.readers import make_reader

    job = Job(
        make_reader("folder", str(folder)),
        PrepareOptions(proxy=ProxyRecipe(channels=3), decoder=decoder),
        records_root=str(output / "records"),
        pyramid_root=str(output / "pyramids"),
    )
    started = time.perf_counter()
    run_job(job, lambda: beam.Pipeline(options=PipelineOptions(beam_args)))
    return time.perf_counter() - started


def measure_jobs(folder: Path, count: int, megapixels: float, rounds: int) -> dict[str, Any]:
    """Every mode beside libvips alone; the best round of each."""
    make_images(folder / "one", 1, 256)
    time_job(folder / "one", folder / "warm", [], "direct")  # the first job pays imports and compiled patterns
    runs = {name: (args, "subprocess") for name, args in MODES.items()} | {DIRECT: ([], "direct")}
    seconds: dict[str, list[float]] = {name: [] for name in (ALONE, *runs)}
    starts: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        seconds[ALONE].append(time_vips(folder / "in", folder / "alone.tif"))
        for name, (args, decoder) in runs.items():
            output = folder / f"{name} {number}"
            starts[name].append(time_job(folder / "one", output / "one", args, decoder))
            seconds[name].append(time_job(folder / "in", output / "in", args, decoder))
            shutil.rmtree(output)
    best = {name: min(values) for name, values in seconds.items()}
    figures: dict[str, Any] = {name: _rates(best[name], count, megapixels) for name in best}
    for name in runs:
        figures[name]["of_which_start_s"] = round(min(starts[name]), 2)
        figures[name]["times_vips_alone"] = round(best[name] / best[ALONE], 2)
        figures[name]["times_vips_alone_without_start"] = round((best[name] - min(starts[name])) / best[ALONE], 2)
    without_start = {name: best[name] - min(starts[name]) for name in runs}
    return {
        **figures,
        "scaling_1_to_2": {name: round(best[ONE] / best[name], 2) for name in MODES if name != ONE},
        "scaling_1_to_2_without_start": {
            name: round(without_start[ONE] / without_start[name], 2) for name in MODES if name != ONE
        },
    }


def time_decoders(folder: Path, output: Path) -> dict[str, float]:
    """The decoder in a child process against the one in this process, image by image in turns, so that whatever else
    runs slows both alike; its start counts once in a data set of FiveK's size."""
    from tfvs.images.proxy import ProxyRecipe
    from tfvs.preparation.decode import Task, decode, limit_libvips
    from tfvs.preparation.decoder import Decoder
    from tfvs.preparation.options import PrepareOptions

    limit_libvips()
    decoder, options = Decoder(), PrepareOptions(proxy=ProxyRecipe(channels=3))
    spent = {"direct": 0.0, "subprocess": 0.0}
    paths = sorted(folder.rglob("*.jpg"))
    times = []
    for number in range(2):  # the second call tells what the first one's start was
        started = time.perf_counter()
        decoder.decode(Task(str(paths[0]), None, str(output / f"start{number}.tif"), options, "00"))
        times.append(time.perf_counter() - started)
    for path in paths:
        for name, run in (("direct", decode), ("subprocess", decoder.decode)):
            started = time.perf_counter()
            run(Task(str(path), None, str(output / f"{path.stem} {name}.tif"), options, "00"))
            spent[name] += time.perf_counter() - started
    decoder.close()
    start, share = times[0] - times[1], spent["subprocess"] / spent["direct"] - 1
    return {
        **{f"{name}_s_per_image": round(seconds / len(paths), 4) for name, seconds in spent.items()},
        "share_per_image": round(share, 3),
        "start_s": round(start, 2),
        f"share_of_{FIVEK_IMAGES}_images": round(share + start / (FIVEK_IMAGES * spent["direct"] / len(paths)), 3),
    }


def peak_memory(side: int, folder: Path) -> dict[str, Any]:
    """Peak resident memory of converting one ``side`` × ``side`` image in a process of its own."""
    path = folder / "huge.tif"
    tile = pyvips.Image.perlin(1024, 1024, uchar=True).copy_memory()
    across = -(-side // 1024)
    tile.replicate(across, across).crop(0, 0, side, side).tiffsave(
        str(path), tile=True, compression="jpeg", bigtiff=True
    )
    code = (
        "import sys, time; from tfvs.preparation.decoder import enter_without_tensorflow; enter_without_tensorflow(); "
        "from tfvs.preparation.decode import Task, decode; from tfvs.preparation.options import PrepareOptions; "
        "peak = lambda: next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')); "
        "base = peak(); start = time.perf_counter(); "
        "decode(Task(sys.argv[1], None, sys.argv[2], PrepareOptions(), '00')); "
        "print(base, peak(), time.perf_counter() - start)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(path), str(folder / "p.tif")],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
    ).stdout  # fmt: skip
    base, peak, seconds = output.split()
    return {
        "side_px": side,
        "seconds": round(float(seconds), 1),
        "imports_mb": int(base) // 1024,
        "peak_mb": int(peak) // 1024,
        "image_mb": side * side // 2**20,
    }


@click.command()
@click.option("--count", default=100, show_default=True, help="Images.")
@click.option("--rounds", default=2, show_default=True, help="Number of rounds, of which the best counts.")
@click.option("--side", default=2528, show_default=True, help="Longer side of the images, pixels.")
@click.option(
    "--huge-side",
    default=30_000,
    show_default=True,
    help="Side of the image whose peak memory is measured, pixels; 0: none.",
)
@click.option("--output", type=click.Path(path_type=Path), help="JSON file for the figures.")
def main(count: int, rounds: int, side: int, huge_side: int, output: Path | None) -> None:
    """Measures the prepare job."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_images(folder / "in", count, side)
        megapixels = count * side * (side * 3 // 4) / 1e6
        figures: dict[str, Any] = {"machine": describe_machine(), "images": count, "megapixels": round(megapixels)}
        figures |= measure_jobs(folder, count, megapixels, rounds)
        figures["subprocess_decoder_costs"] = time_decoders(folder / "in", folder / "decoders")
        if huge_side:
            figures["huge"] = peak_memory(huge_side, folder)
    for key, value in figures.items():
        click.echo(f"{key}: {value}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=2) + "\n")
        draw(figures, output.with_suffix(".png"))
    click.echo(json.dumps(figures))


def draw(figures: dict[str, Any], path: Path) -> None:
    """Megapixels per second of every mode, as bars."""
    from matplotlib.figure import Figure

    rates = {
        name: value["megapixels_per_s"]
        for name, value in figures.items()
        if isinstance(value, dict) and "megapixels_per_s" in value
    }
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(rates), list(rates.values()), color=["#888888"] + ["#3b6fb6"] * (len(rates) - 1))
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("megapixels per second, start included")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _rates(seconds: float, count: int, megapixels: float) -> dict[str, float]:
    return {
        "seconds": round(seconds, 2),
        "images_per_s": round(count / seconds, 2),
        "megapixels_per_s": round(megapixels / seconds, 1),
    }


if __name__ == "__main__":
    main()
