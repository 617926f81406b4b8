"""Runs a pipeline on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from pipelines.config import PipelineConfig
from tfvs.errors import one_sentence


def run(config: PipelineConfig | Callable[[], PipelineConfig]) -> None:
    """Checks, then runs the pipeline with TFX's LocalDagRunner; exits with the code of a :class:`TfvsError`.

    Args:
      config: The configuration, or what reads it from the data.
    """
    with one_sentence():
        if not isinstance(config, PipelineConfig):
            config = config()
        # Before TFX is imported, which takes long, so that errors are shown at once.
        from pipelines.missing import check_metadata
        from pipelines.preflight import check
        from tfvs.storage.tensorflow_files import teach_tensorflow

        check_metadata(config.metadata_path)
        teach_tensorflow(config.data, config.runs_root)
        check(config)
        _run(config)


def _run(config: PipelineConfig) -> None:
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    from pipelines.missing import forget_missing
    from pipelines.pipeline import create_pipeline
    from pipelines.serving_image import why_not
    from tfvs.training.strategy import reserve_devices
    from tfvs.training.trainer import TrainConfig

    logging.getLogger("absl").setLevel(os.environ.get("TFVS_LOG_LEVEL", "INFO"))
    # All components share this process: later, TensorFlow has fixed its devices.
    reserve_devices(TrainConfig.from_dict(config.train).num_devices)
    if config.infra_validation and (reason := why_not()):
        print(f"tfvs: InfraValidator is off: {reason}", flush=True)
        config = config.replace(infra_validation=False)
    forget_missing(config.metadata_path, lambda line: print(f"tfvs: {line}", flush=True))
    LocalDagRunner().run(create_pipeline(config))
