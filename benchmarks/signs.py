"""How often looks hold the sign of a made photograph: ``python -m benchmarks.signs``.

Photographs of :mod:`tfvs.datasets.sign_photographs` are drawn in memory. For every prior over places, and for a trained
model where one is given, it prints the share of photographs of which one of the likeliest T looks holds the whole sign.
The last line is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import keras
import numpy as np
import pyvips
import tensorflow as tf

from benchmarks.machine import describe_machine
from tfvs.datasets.sign_photographs import SignConfig, draw
from tfvs.images.proxy import ProxyRecipe, make_proxy
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.training.plan import CROP_MARGIN, ISOLATED_POWER, THING_PROXY_PX

LOOKS = (1, 2, 4, 10, 20)


def make_saccader(config: SignConfig, proxy: ProxyRecipe, place_prior: str) -> VariationalSaccader:
    """A saccader that looks where its prior says, at looks as large as ``tfvs train`` chooses."""
    shorter = min(config.height, config.width)
    scale = CROP_MARGIN * config.sign_px / shorter
    options = SaccaderConfig(
        num_classes=3,
        num_steps=max(LOOKS),
        posterior="categorical",
        cells=(proxy.height // 2, proxy.width // 2),
        place_prior=place_prior,
        prior_power=ISOLATED_POWER,
        thing_scale=config.sign_px / shorter,
        looks_from_prior=True,
        learns_offset=False,
        reconstruction_weight=0.0,
        look_pooling="evidence",
        min_scale=scale,
        max_scale=scale,
    )
    model = VariationalSaccader(**options.to_dict())
    model.build({"proxy": (None, *proxy.shape), "image": (None, None, None, 3)})
    return model


def held(model: VariationalSaccader, proxies: np.ndarray, boxes: np.ndarray, config: SignConfig) -> dict[int, float]:
    """Share of photographs with the whole sign inside one of the first T looks.

    Args:
      model: Chooses the places.
      proxies: ``[N, h, w, 3]`` float32.
      boxes: ``[N, 4]`` the signs, in [0, 1].
      config: Of the photographs.
    """
    size = tf.repeat([[float(config.height), float(config.width)]], len(proxies), axis=0)
    looks = model.locate(tf.constant(proxies), size, num_steps=max(LOOKS)).boxes.numpy()  # [N, T, 4]
    near, far = looks[:, :, :2] <= boxes[:, np.newaxis, :2], looks[:, :, 2:] >= boxes[:, np.newaxis, 2:]
    inside = near.all(axis=-1) & far.all(axis=-1)
    return {number: round(float(inside[:, :number].any(axis=1).mean()), 3) for number in LOOKS}


@click.command()
@click.option("--photographs", default=90, show_default=True, help="How many are drawn.")
@click.option("--split", default="test", show_default=True, help="Which ones: train, eval or test.")
@click.option("--sign-px", default=100, show_default=True, help="Diameter of the sign.")
@click.option("--seed", default=0, show_default=True, help="Of the photographs.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="A model.keras of tfvs train.")
def main(photographs: int, split: str, sign_px: int, seed: int, model: Path | None) -> None:
    """Measures and prints."""
    config = SignConfig(sign_px=sign_px, seed=seed)
    height, width = (4 * round(side * THING_PROXY_PX / sign_px / 4) for side in (config.height, config.width))
    trained = keras.saving.load_model(model) if model else None
    recipe = ProxyRecipe(height=height, width=width, channels=3)
    if trained is not None:
        recipe = ProxyRecipe(height=trained.proxy_shape[0], width=trained.proxy_shape[1], channels=3)
    proxies, boxes = [], []
    for index in range(photographs):
        picture, _, (left, top) = draw(config, split, index)
        image = pyvips.Image.new_from_array(np.asarray(picture)).copy(interpretation="srgb")
        proxies.append(make_proxy(image, recipe).astype(np.float32) / 255.0)
        box = np.array([top, left, top + sign_px, left + sign_px], np.float32)
        boxes.append(box / np.array([config.height, config.width] * 2, np.float32))
    models = {name: make_saccader(config, recipe, name) for name in ("contrast", "isolated")}
    if trained is not None:
        models["trained"] = trained
    figures = {name: held(each, np.stack(proxies), np.stack(boxes), config) for name, each in models.items()}
    for name, shares in figures.items():
        click.echo(f"{name:10s}" + "  ".join(f"{number} looks {100 * share:.0f} %" for number, share in shares.items()))
    click.echo(json.dumps({"proxy": recipe.to_dict(), "held": figures, **describe_machine()}))


if __name__ == "__main__":
    main()
