"""The configuration of a pipeline: one small dataclass, overridable from a file and from the environment."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfvs.config import Config, require
from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe

CONFIG_FILE_VARIABLE = "TFVS_CONFIG"
FIELD_VARIABLE_PREFIX = "TFVS_"
TRAINER = "pipelines.modules.trainer"
# Folders below a pipeline's root, for PipelineConfig.location.
ARTIFACTS, PYRAMIDS, CHECKPOINTS = "artifacts", "pyramids", "checkpoints"


@dataclasses.dataclass(frozen=True)
class PipelineConfig(Config):
    """A pipeline from raw images to a pushed model.

    Attributes:
      name: Name of the pipeline.
      data: Raw data: what the reader reads.
      reader: ``"manifest"``, ``"folder"`` or ``"fivek"``; see docs/data.md.
      class_names: In the order of the labels.
      runs_root: Everything the pipeline writes lies under it: a folder, or on a fleet a bucket's URI.
      proxy: The proxies' recipe, see :class:`tfvs.images.proxy.ProxyRecipe`.
      image_bands: Channels of the pyramids, 1 or 3.
      tile_size: Side of the pyramids, pixels.
      compression: Compression of the pyramids' tiles: ``"jpeg"``, ``"deflate"`` or ``"none"``.
      max_side_px: Images with a longer side are reduced to it; None keeps the full size.
      model: Fields of :class:`tfvs.models.saccader_config.SaccaderConfig` that differ from its defaults.
      train: Fields of :class:`tfvs.training.trainer.TrainConfig` that differ from its defaults.
      trainer: Module whose ``run_fn`` trains, :mod:`pipelines.modules.trainer` or one that trains in another way.
      tuner_trials: Hyperparameter trials of the Tuner before the Trainer; 0 leaves the Tuner out.
      tuner_epochs: Epochs of a trial.
      minimum_accuracy: A model below it is not blessed; a model that guesses must lie below it.
      minimum_skill: A model whose accuracy is not this much above the share of the largest class is not blessed either.
      minimum_balanced_accuracy: A model whose mean over the classes of their shares of right answers is below it is not
        blessed either.
      maximum_drop: A model whose accuracy lies this much below the last blessed one's is not blessed.
      minimum_per_class: Training images that every class must have.
      infra_validation: Load the model in TensorFlow Serving's Docker image and ask it, before it is pushed; a run on
        this machine does without where Docker or the image is not there, and says so.
      ingest_workers: Beam threads that read images; libvips works outside Python's lock.
    """

    name: str
    data: str
    reader: str
    class_names: tuple[str, ...]
    runs_root: str = "runs"
    proxy: ProxyRecipe = dataclasses.field(default_factory=ProxyRecipe)
    image_bands: int = 1
    tile_size: int = 128
    compression: str = "deflate"
    max_side_px: int | None = None
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    trainer: str = TRAINER
    tuner_trials: int = 0
    tuner_epochs: int = 2
    minimum_accuracy: float = 0.5
    minimum_skill: float = 0.02
    minimum_balanced_accuracy: float = 0.0
    maximum_drop: float = 0.02
    minimum_per_class: int = 1
    infra_validation: bool = True
    ingest_workers: int = 2

    def __post_init__(self) -> None:
        require(bool(self.name), "A pipeline needs a name", expected="a name", received=self.name)
        require(len(self.class_names) >= 2, "Too few classes", expected=">= 2", received=self.class_names)
        require(
            1.0 / len(self.class_names) < self.minimum_accuracy <= 1.0,
            "A model that guesses would pass the threshold",
            expected=f"minimum_accuracy above {1.0 / len(self.class_names):.3f} and at most 1",
            received=self.minimum_accuracy,
        )
        for name in ("minimum_skill", "minimum_balanced_accuracy", "maximum_drop"):
            value = getattr(self, name)
            require(0.0 <= value < 1.0, f"{name} is out of range", expected="0 to below 1", received=value)
        require(
            self.trainer == TRAINER or not self.tuner_trials,
            "The Tuner trains as the usual Trainer does",
            expected=f"tuner_trials=0 with trainer={self.trainer!r}",
            received=self.tuner_trials,
        )
        for name in ("tuner_trials", "minimum_per_class"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is negative", expected="0 or more", received=value)
        for name in ("ingest_workers", "tuner_epochs"):
            value = getattr(self, name)
            require(value >= 1, f"{name} is too small", expected="1 or more", received=value)

    def location(self, *parts: str) -> str:
        """A path or URI below the pipeline's root; works where ``runs_root`` is a bucket."""
        if "://" in self.runs_root:
            return "/".join([self.runs_root.rstrip("/"), self.name, *parts])
        return str(Path(self.runs_root).resolve().joinpath(self.name, *parts))

    @property
    def root(self) -> Path:
        """Everything of this pipeline."""
        return Path(self.location())

    @property
    def metadata_path(self) -> Path:
        """ML Metadata's SQLite file."""
        return Path(self.location("metadata.db"))

    @property
    def pyramid_root(self) -> Path:
        """Pyramids, by content; the same for every run."""
        return Path(self.location(PYRAMIDS))

    @property
    def checkpoint_root(self) -> Path:
        """Checkpoints, by configuration and data; the same for every run."""
        return Path(self.location(CHECKPOINTS))

    @property
    def serving_root(self) -> Path:
        """Pushed versions, as TF Serving wants them: ``<root>/<version>/saved_model.pb``."""
        return Path(self.location("serving", self.name))


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
    single = {}
    for field in dataclasses.fields(PipelineConfig):
        text = environ.get(FIELD_VARIABLE_PREFIX + field.name.upper())
        if text is not None:
            single[field.name] = _parse(text)
    return _merge(config, single)


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
