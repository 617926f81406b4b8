"""The configuration of a pipeline, whose fields a file and environment variables can change."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfvs.config import Config, field_types, option, option_like, require
from tfvs.data.layout import PYRAMIDS
from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe
from tfvs.paths import is_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import READERS

if TYPE_CHECKING:
    from tfvs.models.saccader_config import SaccaderConfig

CONFIG_FILE_VARIABLE = "TFVS_CONFIG"
FIELD_VARIABLE_PREFIX = "TFVS_"
TRAINER = "pipelines.modules.trainer"
# Folders below a pipeline's root, for PipelineConfig.location.
ARTIFACTS, CHECKPOINTS = "artifacts", "checkpoints"


@dataclasses.dataclass(frozen=True)
class PipelineConfig(Config):
    """A pipeline from raw images to a pushed model."""

    name: str = option(help="Name of the pipeline.")
    data: str = option(help="Path or URI of the raw data.")
    reader: str = option(help="Reader of the raw data; docs/data.md describes the layouts.", choices=READERS)
    class_names: tuple[str, ...] = option(help="Names of the classes, in the order of the labels.", least_items=2)
    runs_root: str = option("runs", "Folder, or URI of a bucket, below which everything is written.")
    local_root: str = option(
        "runs", "Folder on this machine that keeps ML Metadata's file where runs_root is a bucket."
    )
    proxy: ProxyRecipe = option(ProxyRecipe, "The proxies' recipe, see :class:`tfvs.images.proxy.ProxyRecipe`.")
    image_bands: int = option(1, "Channels of the pyramids, 1 or 3.", choices=(1, 3))
    tile_size: int = option_like(PrepareOptions, "tile_size", 128)
    compression: str = option_like(PrepareOptions, "compression", "deflate")
    max_side_px: int | None = option_like(PrepareOptions, "max_side_px")
    model: dict[str, Any] = option(
        dict, "Fields of :class:`tfvs.models.saccader_config.SaccaderConfig` that differ from its defaults."
    )
    train: dict[str, Any] = option(
        dict, "Fields of :class:`tfvs.training.trainer.TrainConfig` that differ from its defaults."
    )
    trainer: str = option(
        TRAINER, "Module whose ``run_fn`` trains: :mod:`pipelines.modules.trainer`, or one that trains in another way."
    )
    tuner_trials: int = option(
        0, "Number of trials of the Tuner before the Trainer; 0 leaves the Tuner out.", at_least=0
    )
    tuner_epochs: int = option(2, "Number of epochs of each trial.", at_least=1)
    minimum_accuracy: float = option(
        0.5, "Least accuracy of a model that is blessed; it must be above that of guessing.", at_most=1
    )
    minimum_skill: float = option(
        0.02,
        "How much the accuracy of a blessed model must at least exceed the share of the largest class.",
        at_least=0,
        below=1,
    )
    minimum_balanced_accuracy: float = option(
        0.0,
        "Least mean of the classes' shares of right answers of a model that is blessed.",
        at_least=0,
        below=1,
    )
    maximum_drop: float = option(
        0.02,
        "How much lower than that of the last blessed model the accuracy of a blessed model may be.",
        at_least=0,
        below=1,
    )
    counts: bool = option(
        False,
        "Whether the classes are counts from 0; the Evaluator then also gives the mean absolute error of the count and "
        "the accuracy within one.",
    )
    minimum_per_class: int = option(1, "Number of training images that every class must have.", at_least=0)
    infra_validation: bool = option(
        True,
        "Whether the model is loaded in TensorFlow Serving's Docker image and asked before it is pushed; a run on this "
        "machine leaves that out where Docker or the image is not there, and says so.",
    )
    ingest_workers: int = option(
        2, "Number of Beam threads that read images; libvips works outside Python's lock.", at_least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.name), "A pipeline needs a name", expected="a name", received=self.name)
        guessing = 1.0 / len(self.class_names)
        require(
            self.minimum_accuracy > guessing,
            "A model that guesses would pass the threshold",
            expected=f"minimum_accuracy above {guessing:.3f}",
            received=self.minimum_accuracy,
        )
        require(
            self.trainer == TRAINER or not self.tuner_trials,
            "The Tuner trains as the usual Trainer does",
            expected=f"tuner_trials=0 with trainer={self.trainer!r}",
            received=self.tuner_trials,
        )

    def location(self, *parts: str) -> str:
        """A path or URI below the pipeline's root; works where ``runs_root`` is a bucket."""
        if not is_local(self.runs_root):
            return "/".join([self.runs_root.rstrip("/"), self.name, *parts])
        return str(Path(self.runs_root).resolve().joinpath(self.name, *parts))

    @property
    def root(self) -> Path:
        """The pipeline's folder on this machine: all of it, or what cannot lie in a bucket."""
        return Path(self.location()) if is_local(self.runs_root) else Path(self.local_root).resolve() / self.name

    @property
    def metadata_path(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.root / "metadata.db"

    @property
    def pyramid_root(self) -> Path:
        """Pyramids, by content; the same for every run."""
        return Path(self.location(PYRAMIDS))

    @property
    def serving_root(self) -> Path:
        """Pushed versions, as TF Serving wants them: ``<root>/<version>/saved_model.pb``."""
        return Path(self.location("serving", self.name))


def model_fields(model: SaccaderConfig) -> dict[str, Any]:
    """What a pipeline says of its model: the fields that differ from the defaults.

    Args:
      model: The model's configuration; its number of classes and its folders of pyramids are the pipeline's own.
    """
    return {name: value for name, value in model.changed().items() if name not in ("num_classes", "pyramid_roots")}


def load_config(default: PipelineConfig, environ: Mapping[str, str] = os.environ) -> PipelineConfig:
    """The configuration of a run: the pipeline's own, then a JSON file, then single variables.

    ``TFVS_CONFIG`` names a JSON file with any fields; ``TFVS_<FIELD>`` holds one field, as JSON or plain text.
    ``proxy``, ``model`` and ``train`` are merged, not replaced.

    Raises:
      ConfigError: An unknown field, or a value that cannot work.
    """
    config = default
    if path := environ.get(CONFIG_FILE_VARIABLE):
        try:
            config = _merge(config, json.loads(Path(path).read_text()))
        except (OSError, json.JSONDecodeError) as error:
            raise ConfigError(
                f"{CONFIG_FILE_VARIABLE} cannot be read: {error}", expected="a JSON file", received=path
            ) from error
    single, kinds = {}, field_types(PipelineConfig)
    for field in dataclasses.fields(PipelineConfig):
        text = environ.get(FIELD_VARIABLE_PREFIX + field.name.upper())
        if text is not None:
            single[field.name] = text if kinds[field.name] is str else _parse(text)
    return _merge(config, single)


def load_pipeline(pipeline: str, environ: Mapping[str, str] = os.environ) -> PipelineConfig:
    """The configuration of a pipeline of this package, by its name; one without a default reads it from its data.

    Args:
      pipeline: Name of its module.
      environ: See :func:`load_config`.

    Raises:
      ConfigError: An unknown field, or a value that cannot work.
      DataError: The data that it is read from are not there.
    """
    module = importlib.import_module(f"pipelines.{pipeline}")
    return module.configure(environ) if hasattr(module, "configure") else load_config(module.DEFAULT, environ)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _merge(config: PipelineConfig, changes: dict[str, Any]) -> PipelineConfig:
    merged = {}
    for name, value in changes.items():
        current = getattr(config, name, None)
        if isinstance(current, Config):
            current = current.to_dict()
        if isinstance(current, dict) and not isinstance(value, dict):
            raise ConfigError(f"{name} takes an object", expected="a JSON object", received=value)
        merged[name] = {**current, **value} if isinstance(current, dict) else value
    return config.replace(**merged)
