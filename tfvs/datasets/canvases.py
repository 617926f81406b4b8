"""What the generators of canvases with digits share: a canvas, its place in a data set, and their command line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from tfvs.config import Config
from tfvs.datasets.digits import SPLITS, digits_fingerprint
from tfvs.datasets.writing import Sample, write_dataset
from tfvs.errors import TfvsError
from tfvs.flags import flags_of


class Canvas(NamedTuple):
    """One image.

    Attributes:
      image: ``[H, W]`` uint8.
      label: Class index.
      positions: ``[digits, 2]`` int32: top and left of each digit's square, pixels.
    """

    image: np.ndarray
    label: int
    positions: np.ndarray


def random_of(seed: int, split: str, index: int) -> np.random.Generator:
    """What image ``index`` of a split is drawn from: these three alone decide."""
    return np.random.default_rng((seed, SPLITS.index(split), index))


def write_canvases(
    output: str,
    make: Callable[[str, int], Canvas],
    counts: Mapping[str, int],
    *,
    description: Mapping[str, Any],
    digits: str,
    digit_px: int,
    class_names: list[str],
    overwrite: bool,
) -> Path:
    """Writes a data set as images and a manifest; see :func:`tfvs.datasets.writing.write_dataset`.

    Args:
      output: Folder.
      make: ``(split, index) → Canvas``.
      counts: Images per split.
      description: The configuration, under the generator's name.
      digits: Source of the digits, which the images depend on too.
      digit_px: Side of a digit's square, for the manifest.
      class_names: By label.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the manifest.
    """

    def sample(split: str, index: int) -> Sample:
        image, label, positions = make(split, index)
        return Sample(image, label, {"positions": positions.tolist(), "digit_px": digit_px})

    return write_dataset(
        output,
        counts,
        sample,
        description={**description, "digits_sha256": digits_fingerprint(digits)},
        class_names=class_names,
        overwrite=overwrite,
    )


def dataset_command(
    config: type[Config], *, train: int, evaluation: int, test: int, skip: Sequence[str] = ()
) -> Callable[[Callable[..., Path]], click.Command]:
    """Makes a command of a function ``(output, counts, overwrite, **fields) → manifest``; its errors are one sentence.

    Args:
      config: The generator's configuration, whose options become flags.
      train: Default number of training images.
      evaluation: Default number of evaluation images.
      test: Default number of test images.
      skip: Fields of the configuration that the function sets itself.
    """

    def decorate(function: Callable[..., Path]) -> click.Command:
        @functools.wraps(function)
        def run(output: str, train: int, evaluation: int, test: int, **fields: Any) -> None:
            try:
                click.echo(function(output, {"train": train, "eval": evaluation, "test": test}, **fields))
            except TfvsError as error:
                click.echo(f"error: {error}", err=True)
                sys.exit(error.exit_code)

        options = (
            click.option("--output", required=True, help="Folder of the data set."),
            click.option("--train", default=train, show_default=True, help="Training images."),
            click.option("--eval", "evaluation", default=evaluation, show_default=True, help="Evaluation images."),
            click.option("--test", default=test, show_default=True, help="Test images."),
            flags_of(config, skip=skip),
            click.option("--overwrite", is_flag=True, help="Replace a data set of another configuration."),
        )
        command: Any = run
        for add in reversed(options):
            command = add(command)
        return click.command()(command)

    return decorate
