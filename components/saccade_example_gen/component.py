"""SaccadeExampleGen: raw images → Examples of proxies and tile indices, and pyramids beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.components.example_gen import utils
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import range_config_pb2
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.saccade_example_gen import driver, executor
from tfvs.code_digest import code_digest
from tfvs.errors import ConfigError
from tfvs.preparation.options import DEFAULT_SPLITS, MAX_REJECTED, NUM_SHARDS, PrepareOptions
from tfvs.preparation.readers import check_reader

_RANGE_CONFIG: Any = range_config_pb2


class Pyramids(types.Artifact):
    """The pyramids of a set of Examples.

    The artifact's folder holds the job's manifest; the pyramids lie under ``pyramid_root``, named by content and shared
    by all runs, so that what is converted once is never converted again. Custom properties: ``pyramid_root``, a string,
    and ``num_images``; Kubeflow takes neither declared properties nor names of another form.
    """

    TYPE_NAME = "tfvs.Pyramids"


class SaccadeExampleGenSpec(ComponentSpec):
    """Parameters and outputs as ML Metadata sees them."""

    PARAMETERS = {  # noqa: RUF012  the type is TFX's
        executor.INPUT_BASE: ExecutionParameter(type=str),
        executor.INPUT_CONFIG: ExecutionParameter(type=executor.EXAMPLE_GEN.Input),
        executor.RANGE_CONFIG: ExecutionParameter(type=_RANGE_CONFIG.RangeConfig, optional=True),
        executor.READER: ExecutionParameter(type=str),
        executor.CLASS_NAMES: ExecutionParameter(type=str),
        executor.OPTIONS: ExecutionParameter(type=str),
        executor.PYRAMID_ROOT: ExecutionParameter(type=str),
        executor.SPLITS: ExecutionParameter(type=str),
        executor.NUM_SHARDS: ExecutionParameter(type=int),
        executor.MAX_REJECTED: ExecutionParameter(type=float),
        executor.CODE: ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}  # noqa: RUF012  the type is TFX's
    OUTPUTS = {  # noqa: RUF012  the type is TFX's
        executor.EXAMPLES: ChannelParameter(type=standard_artifacts.Examples),
        executor.PYRAMIDS: ChannelParameter(type=Pyramids),
    }


class SaccadeExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests images: an ExampleGen for images far too large to lie in an Example.

    Outputs ``examples`` (gzipped TFRecords of ``tf.train.Example``, see :mod:`tfvs.data.example`, one folder per
    split) and ``pyramids``. The job runs again when the list of images, any file's size or time of change, an option,
    or the code that makes Examples is new; pyramids of files that are the same are used again even then.

    Args:
      input_base: The data set, or the folder above its spans.
      reader: One of :data:`tfvs.preparation.readers.READERS`; docs/data.md describes them.
      pyramid_root: Where pyramids lie, by content; stable between runs. ``pyramid/uri`` is relative to it.
      class_names: Classes in the order of their indices; None leaves it to the reader.
      splits: Weights of the splits of images whose split the data does not say; by hash of ``image/id``.
      num_shards: Record files per split.
      max_rejected: Fraction of images that may be refused before the component fails, after writing everything.
      input_config: ``example_gen_pb2.Input`` with one split whose pattern holds ``{SPAN}``, ``{VERSION}`` or a date, as
        TFX's ExampleGens take it; the newest matching folder is read. Example:
        ``Input(splits=[Input.Split(name="all", pattern="span-{SPAN}/*")])``.
      range_config: ``range_config_pb2.RangeConfig``: which span to read.
      **options: Fields of :class:`tfvs.preparation.options.PrepareOptions`, for example
        ``proxy={"height": 64, "width": 64}``.

    Raises:
      ConfigError: An option that is not known or cannot work.
    """

    SPEC_CLASS = SaccadeExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self,
        input_base: str,
        reader: str,
        pyramid_root: str,
        *,
        class_names: Sequence[str] | None = None,
        splits: Mapping[str, int] | None = None,
        num_shards: int = NUM_SHARDS,
        max_rejected: float = MAX_REJECTED,
        input_config: Any = None,
        range_config: Any = None,
        **options: Any,
    ) -> None:
        check_reader(reader)
        if input_config is not None and len(input_config.splits) != 1:
            raise ConfigError(
                "Splits come from the data or from the id's hash, not from patterns",
                expected="an input_config with one split",
                received=f"{len(input_config.splits)} splits",
            )
        spec = SaccadeExampleGenSpec(
            **{
                executor.INPUT_BASE: input_base,
                executor.INPUT_CONFIG: input_config or utils.make_default_input_config(),
                executor.RANGE_CONFIG: range_config,
                executor.READER: reader,
                executor.CLASS_NAMES: json.dumps(None if class_names is None else list(class_names)),
                executor.OPTIONS: PrepareOptions.from_dict(options).to_json(),
                executor.PYRAMID_ROOT: str(pyramid_root),
                executor.SPLITS: json.dumps(dict(splits or DEFAULT_SPLITS)),
                executor.NUM_SHARDS: num_shards,
                executor.MAX_REJECTED: max_rejected,
                executor.CODE: code_digest(executor.__name__),
                executor.EXAMPLES: types.Channel(type=standard_artifacts.Examples),
                executor.PYRAMIDS: types.Channel(type=Pyramids),
            }
        )
        super().__init__(spec=spec)
