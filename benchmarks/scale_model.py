"""The whole model as it is served, on one image of any size: latency, and memory above the loaded, warm model.

Run by ``python -m benchmarks.scale`` in processes of its own, so that peaks of memory are told apart: ``python -m
benchmarks.scale_model export MODEL ROOT`` once, then ``serve MODEL PYRAMID``. The last line is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.memory import current_memory_mb, peak_memory_mb, reset_peak_memory
from benchmarks.scale_index import PROXY, stored_features
from benchmarks.scale_reading import CROP, STEPS, percentiles, timed
from tfvs.data import example as contract
from tfvs.export.saving import export_saved_model
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.server.servable import Servable

CLASSES = 10
SIGNATURE = "predict_pyramids"


@click.group()
def main() -> None:
    """Exports a saccader, or measures it; prints JSON."""


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("root", type=click.Path(exists=True, path_type=Path))
@click.option("--crop", default=CROP, show_default=True, help="Side of a crop, pixels.")
def export(model: Path, root: Path, crop: int) -> None:
    """Exports a saccader with random weights for pyramids under ROOT."""
    saccader = VariationalSaccader(
        num_classes=CLASSES, num_steps=STEPS, crop_size=crop, min_scale=0.02, max_scale=0.5, pyramid_roots=(str(root),)
    )
    saccader.build({"proxy": (None, *PROXY), "image": (None, None, None, 3)})
    names = [f"class {number}" for number in range(CLASSES)]
    proxy = ProxyRecipe(height=PROXY[0], width=PROXY[1], channels=PROXY[2])
    export_saved_model(saccader, model, class_names=names, proxy=proxy, image_roots=[root])
    click.echo(json.dumps({"crop_px": crop}))


@main.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=100, show_default=True, help="Requests.")
def serve(model: Path, path: Path, count: int) -> None:
    """Loads and warms the model as a server does, then asks for one image again and again."""
    before = current_memory_mb()
    servable = Servable("saccader", 1, str(model))
    servable.warm_up()  # with the export's own requests, none of which reads a pyramid
    loaded = current_memory_mb()
    reset_peak_memory()
    inputs = {name.split("/")[1]: value.numpy() for name, value in stored_features(path).items()}
    inputs["path"] = inputs.pop("uri")
    proxies = np.random.default_rng(1).random((count, 1, *PROXY), np.float32)

    def answer(number: int) -> dict[str, Any]:
        return servable.run(SIGNATURE, {**inputs, "proxy": proxies[number]})

    if not answer(0)["valid"].all():
        raise click.ClickException(f"{path} cannot be read: {answer(0)['reason']}")
    first = peak_memory_mb()
    figures = {
        "side_px": int(inputs[contract.WIDTH.split("/")[1]][0]),
        **percentiles(timed(answer, count)),
        "memory_mb": {
            "process": round(before),
            "loaded_and_warm": round(loaded),
            "first_answer_adds": round(first - loaded, 1),
            "requests_add_at_peak": round(peak_memory_mb() - loaded, 1),
        },
    }
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
