"""What the generators of canvases with digits share: a canvas, its place in a data set, and their command line."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import click
import numpy as np

from tfvs.config import Config, option
from tfvs.datasets.digits import SOURCES_HELP, SPLITS, digits_fingerprint
from tfvs.datasets.writing import Sample, write_dataset
from tfvs.errors import one_sentence
from tfvs.flags import flags_of, from_flags

C = TypeVar("C", bound=Config)


class Canvas(NamedTuple):
    """One image.

    Attributes:
      image: ``[H, W]`` uint8.
      label: Class index.
      positions: ``[digits, 2]`` int32: top and left of each digit's square, pixels.
      digit_px: Side of each digit's square, pixels.
    """

    image: np.ndarray
    label: int
    positions: np.ndarray
    digit_px: int


@dataclass(frozen=True, kw_only=True)
class CanvasConfig(Config, abc.ABC):
    """What every generator of canvases with digits has."""

    digits: str = option("uci", SOURCES_HELP)
    seed: int = option(0, "Seed of everything drawn.", at_least=0)

    name: ClassVar[str]  # under which a data set records the configuration

    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""

    @abc.abstractmethod
    def canvas(self, split: str, index: int) -> Canvas:
        """One image, which depends on the configuration, the split and the index alone.

        Args:
          split: ``"train"``, ``"eval"`` or ``"test"``: digits and randomness of its own.
          index: Index of the image in its split.
        """


def random_of(seed: int, split: str, index: int) -> np.random.Generator:
    """What image ``index`` of a split is drawn from: these three alone decide."""
    return np.random.default_rng((seed, SPLITS.index(split), index))


def write_canvases(output: str, config: CanvasConfig, counts: Mapping[str, int], *, overwrite: bool = False) -> Path:
    """Writes a data set as images and a manifest; see :func:`tfvs.datasets.writing.write_dataset`.

    Args:
      output: Folder.
      config: What is drawn.
      counts: Images per split.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the manifest.
    """

    def sample(split: str, index: int) -> Sample:
        canvas = config.canvas(split, index)
        extra = {"positions": canvas.positions.tolist(), "digit_px": canvas.digit_px}
        return Sample(canvas.image, canvas.label, extra)

    return write_dataset(
        output,
        counts,
        sample,
        description={config.name: config.to_dict(), "digits_sha256": digits_fingerprint(config.digits)},
        class_names=list(config.class_names),
        overwrite=overwrite,
    )


def dataset_command(
    config: type[C], *, train: int, evaluation: int, test: int
) -> Callable[[Callable[[str, C, dict[str, int], bool], Path]], click.Command]:
    """Makes a command of a function ``(output, config, counts, overwrite) → file``; its errors are one sentence.

    Args:
      config: The generator's configuration, whose options become flags.
      train: Default number of training images.
      evaluation: Default number of evaluation images.
      test: Default number of test images.
    """

    def decorate(function: Callable[[str, C, dict[str, int], bool], Path]) -> click.Command:
        @functools.wraps(function)
        def run(output: str, train: int, evaluation: int, test: int, overwrite: bool, **fields: Any) -> None:
            counts = {"train": train, "eval": evaluation, "test": test}
            with one_sentence():
                click.echo(function(output, from_flags(config, fields), counts, overwrite))

        options = (
            click.option("--output", required=True, help="Folder of the data set."),
            click.option("--train", default=train, show_default=True, help="Number of training images."),
            click.option(
                "--eval", "evaluation", default=evaluation, show_default=True, help="Number of evaluation images."
            ),
            click.option("--test", default=test, show_default=True, help="Number of test images."),
            flags_of(config),
            click.option("--overwrite", is_flag=True, help="Replace a data set of another configuration."),
        )
        command: Any = run
        for add in reversed(options):
            command = add(command)
        return click.command()(command)

    return decorate
