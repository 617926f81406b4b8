"""The paper's pictures from a trained model: where it looks, its posterior, its reconstructions (figures 3, 5 and 6).

    python -m benchmarks.paper_figures --digits mnist.npz --run identify-saccader-categorical-1

Takes the model that ``python -m benchmarks.accuracy`` left in ``--runs`` and the JSON of that run. Shows the first test
images, not chosen ones. Writes ``figures.json`` and a PNG per picture to ``--results``.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

REPORT = "figures.json"
LEAST_SHOWN = 1e-12  # probability of a cell that is drawn black
CAPTIONS = {
    "saccades": "Saccades: the image with the looks in their order, the proxy, what the classifier read, and its "
    "answer (the paper's figures 3 and 6)",
    "posterior": "Posterior: the proxy, the probability of each cell for the first look where there are cells (on a "
    "logarithmic scale from 1e-12 to 1), and the share of sampled trajectories that look at a place, over the image",
    "reconstructions": "Reconstructions: the proxy, and its mean under the decoder after each look; the bound asks for "
    "them with a weight of the run's own",
}


def picture_name(name: str) -> str:
    """File name of a picture, a key of ``CAPTIONS``."""
    return f"figure-{name}.png"


class Shown(NamedTuple):
    """What is drawn of N images with T looks.

    Attributes:
      images: ``[N, H, W]`` uint8.
      proxies: ``[N, h, w]`` uint8.
      labels: ``[N]`` int64.
      class_names: K names.
      output: The model's output, arrays.
      samples: ``[N, S, T, 4]`` boxes of S trajectories that are drawn.
    """

    images: np.ndarray
    proxies: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    output: Any
    samples: np.ndarray


def answer(path: Path, digits: str, report: dict[str, Any], count: int, samples: int) -> Shown:
    """A model's answers to the first test images of its run.

    Args:
      path: The model, ``.keras``.
      digits: uci, mnist or the path of an .npz.
      report: The run's JSON.
      count: N.
      samples: S.
    """
    import keras
    import tensorflow as tf

    from benchmarks.accuracy import CANVAS_PX, PROXY_PX, describe_canvases, make_examples
    from tfvs.images.proxy import ProxyRecipe
    from tfvs.models.pixels import IMAGE, PROXY, to_float

    model = keras.models.load_model(path, compile=False)
    config = describe_canvases(
        report["task"], digits, report["seed"], report.get("canvas", CANVAS_PX), report.get("distractors")
    )
    recipe = ProxyRecipe(height=PROXY_PX, width=PROXY_PX, keep=report["proxy_keep"], noise=report["proxy_noise"])
    examples = make_examples(config, "test", count, recipe)
    images, proxies = np.asarray(examples.canvases.images), examples.proxies
    output = model({IMAGE: tf.constant(images[..., np.newaxis]), PROXY: tf.constant(proxies[..., np.newaxis])})
    drawn = []
    for proxy in proxies:
        repeated = tf.repeat(to_float(tf.constant(proxy[np.newaxis, ..., np.newaxis]), PROXY), samples, axis=0)
        size = tf.repeat(tf.constant([images.shape[1:]], tf.int32), samples, axis=0)
        drawn.append(model.locate(repeated, size, sample=True).boxes.numpy())
    return Shown(images, proxies, examples.canvases.labels, config.class_names, output, np.stack(drawn))


def draw_saccades(shown: Shown) -> bytes:
    """A row per image: the looks in their order, the proxy, the crops, the answer."""
    import tensorflow as tf

    from tfvs.viz.saccade import Saccade
    from tfvs.viz.saccade_sheet import render_saccade_sheet

    probabilities = np.asarray(tf.nn.softmax(shown.output.logits))

    def of(values: Any, index: int) -> np.ndarray | None:
        return None if values is None else np.asarray(values[index])

    saccades = [
        Saccade(
            overview=shown.images[index],
            proxy=shown.proxies[index],
            boxes=np.asarray(shown.output.boxes[index]),
            crops=np.asarray(shown.output.crops[index], np.float32),
            probabilities=probabilities[index],
            class_names=shown.class_names,
            true=int(shown.labels[index]),
            kl=of(shown.output.kl, index),
            evidence=of(shown.output.evidence, index),
            posterior_map=of(shown.output.posterior_map, index),
            title=f"test image {index}",
        )
        for index in range(len(shown.images))
    ]
    return render_saccade_sheet(saccades, "", 3, 90)


def draw_posterior(shown: Shown) -> bytes:
    """A column per image: the proxy, the map of cells where there is one, and where sampled trajectories look."""
    from matplotlib.colors import LogNorm

    from tfvs.viz.charts import chart
    from tfvs.viz.heat import heat_of_places, heat_picture

    maps = shown.output.posterior_map
    rows = ["proxy", *([] if maps is None else ["first look"]), f"{shown.samples.shape[1]} trajectories"]
    count, side = len(shown.images), shown.images.shape[1:]
    with chart(1.5 * count, 1.6 * len(rows)) as (figure, pictures):
        grid = figure.subplots(len(rows), count, squeeze=False)
        for column in range(count):
            heat = heat_of_places(shown.samples[column], (side[0], side[1]))
            grid[0, column].imshow(shown.proxies[column], cmap="gray", vmin=0, vmax=255)
            if maps is not None:
                cells = np.maximum(np.asarray(maps[column], np.float32), LEAST_SHOWN)
                grid[1, column].imshow(cells, cmap="inferno", norm=LogNorm(LEAST_SHOWN, 1.0))
            grid[-1, column].imshow(shown.images[column], cmap="gray", vmin=0, vmax=255)
            grid[-1, column].imshow(heat_picture(heat))
        _label(grid, rows)
    return pictures[0]


def draw_reconstructions(shown: Shown) -> bytes:
    """A column per image: the proxy, and its reconstruction after each look."""
    from tfvs.viz.charts import chart

    pictures_of = np.asarray(shown.output.reconstruction, np.float32)[..., 0]  # [N, T, h, w]
    count, steps = pictures_of.shape[:2]
    with chart(1.5 * count, 1.5 * (steps + 1)) as (figure, pictures):
        grid = figure.subplots(steps + 1, count, squeeze=False)
        for column in range(count):
            grid[0, column].imshow(shown.proxies[column], cmap="gray", vmin=0, vmax=255)
            for step in range(steps):
                grid[step + 1, column].imshow(pictures_of[column, step], cmap="gray", vmin=0, vmax=1)
        _label(grid, ["proxy", *(f"look {step + 1}" for step in range(steps))])
    return pictures[0]


def _label(grid: np.ndarray, rows: list[str]) -> None:
    for row, name in enumerate(rows):
        for axes in grid[row]:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
        grid[row, 0].set_ylabel(name)


DRAWING: dict[str, Callable[[Shown], bytes]] = {
    "saccades": draw_saccades,
    "posterior": draw_posterior,
    "reconstructions": draw_reconstructions,
}


@click.command()
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--run", "name", required=True, help="The run's name, such as identify-saccader-1.")
@click.option("--images", default=6, show_default=True, help="Number of test images shown.")
@click.option("--samples", default=64, show_default=True, help="Number of sampled trajectories.")
@click.option("--runs", default="runs/accuracy", show_default=True, type=click.Path(path_type=Path))
@click.option("--results", default="docs/results", show_default=True, type=click.Path(path_type=Path))
def main(name: str, digits: str, images: int, samples: int, runs: Path, results: Path) -> None:
    """Draws the pictures of one run."""
    path, source = runs / name / "model.keras", results / f"accuracy-{name}.json"
    for needed in (path, source):
        if not needed.exists():
            raise click.UsageError(f"There is no {needed}: run python -m benchmarks.reproduce --only {name}")
    report = json.loads(source.read_text())
    if report["model"] != "saccader":
        raise click.UsageError(f"{name} is {report['model']}: only a saccader has a posterior and reconstructions")
    shown = answer(path, digits, report, images, samples)
    chosen = [key for key in DRAWING if key != "reconstructions" or shown.output.reconstruction is not None]
    for key in chosen:
        (results / picture_name(key)).write_bytes(DRAWING[key](shown))
    right = int((np.argmax(shown.output.logits, -1) == shown.labels).sum())
    figures = {
        "run": name,
        "command": f"python -m benchmarks.paper_figures --digits mnist.npz --run {name} --images {images}",
        "pictures": chosen,
        "images": images,
        "right": right,
        "samples": samples,
        "date": datetime.date.today().isoformat(),
        **{key: report[key] for key in ("accuracy", "test_images", "cpu_minutes")},
    }
    (results / REPORT).write_text(json.dumps(figures, indent=1))
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
