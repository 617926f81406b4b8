"""Builds the TFX pipeline: ExampleGen → statistics → validation → (Tuner) → Trainer → Evaluator → Pusher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx import components as parts  # not tfx.v1, which imports Google Cloud's AI platform as well: ten seconds more
from tfx.components.distribution_validator.component import DistributionValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.orchestration import metadata
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import distribution_validator_pb2, infra_validator_pb2, pusher_pb2, trainer_pb2

from components.saccade_example_gen.component import SaccadeExampleGen
from pipelines.config import ARTIFACTS, PYRAMIDS, PipelineConfig
from pipelines.evaluation import make_eval_config
from pipelines.preflight import prepare_options
from pipelines.resolvers import MODEL, STATISTICS, previous_blessed_model, previous_statistics
from pipelines.schema import schema_file
from pipelines.serving_image import SERVING_TAG
from tfvs.code_digest import code_digest
from tfvs.data import example as contract
from tfvs.paths import require_literal

TUNER_MODULE = "pipelines.modules.tuner"
LOCAL_BEAM = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
# The largest Jensen-Shannon divergence (0 to 1) of labels and sizes from those of the previous data set.
MAXIMUM_DRIFT = 0.1
# Type checkers cannot see the classes of protocol buffers, which are made at import.
DRIFT_MESSAGES: Any = distribution_validator_pb2
INFRA_MESSAGES: Any = infra_validator_pb2
PUSHER_MESSAGES: Any = pusher_pb2
TRAINER_MESSAGES: Any = trainer_pb2
DRIFTING = (contract.LABEL, contract.WIDTH, contract.HEIGHT)


def training_config(config: PipelineConfig) -> PipelineConfig:
    """The configuration with every setting reset that a trained model does not depend on.

    It is part of the Trainer's cache key: a change in those settings trains nothing again.
    """
    return config.replace(
        local_root=PipelineConfig.local_root,
        minimum_accuracy=1.0,
        minimum_skill=0.0,
        minimum_balanced_accuracy=0.0,
        maximum_drop=0.0,
        counts=False,
        minimum_per_class=0,
        infra_validation=False,
        ingest_workers=1,
    )


def create_pipeline(config: PipelineConfig, *, managed: bool = False, beam_args: Sequence[str] = LOCAL_BEAM) -> Any:
    """Builds the pipeline. It reads no data and creates only the folder of the metadata file.

    Args:
      config: The pipeline's configuration.
      managed: Build for Kubeflow or Vertex AI. They keep metadata themselves, support only TFX's own resolvers, and
        take the location of the data as the runtime parameter ``data``.
      beam_args: Where Beam's jobs run, for example on Dataflow.

    Returns:
      A TFX ``Pipeline``.
    """
    example_gen = make_example_gen(config, managed=managed)
    examples = example_gen.outputs["examples"]
    statistics_gen = parts.StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = parts.SchemaGen(statistics=statistics, infer_feature_shape=False)
    # The inferred schema is for reading. Examples are validated against the curated one, so that anomalies are found.
    curated = ImportSchemaGen(schema_file=str(schema_file(config)))
    schema = curated.outputs["schema"]
    validator = parts.ExampleValidator(statistics=statistics, schema=schema)
    earlier_statistics = previous_statistics(statistics, stock=managed)
    drift_validator = DistributionValidator(
        statistics=statistics,
        baseline_statistics=earlier_statistics.outputs[STATISTICS],
        config=drift_config(),
    )
    learners, model = make_learners(config, examples, schema)
    components = [
        example_gen, statistics_gen, schema_gen, curated, validator, earlier_statistics, drift_validator, *learners,
        *make_gates(config, model, examples, managed=managed),
    ]  # fmt: skip
    return Pipeline(
        pipeline_name=config.name.replace("_", "-") if managed else config.name,
        pipeline_root=require_literal(config.location(ARTIFACTS), "The pipeline's root"),
        components=components,
        enable_cache=True,
        metadata_connection_config=None
        if managed
        else metadata.sqlite_metadata_connection_config(str(config.metadata_path)),
        beam_pipeline_args=list(beam_args),
    )


def make_example_gen(config: PipelineConfig, *, managed: bool = False) -> SaccadeExampleGen:
    """The ExampleGen, which turns raw images into Examples and pyramids; local Beam jobs read images in threads."""
    data: Any = config.data
    if managed:
        data = RuntimeParameter(name="data", ptype=str, default=config.data)
    example_gen = SaccadeExampleGen(
        input_base=data,
        reader=config.reader,
        pyramid_root=config.location(PYRAMIDS),
        class_names=None if config.reader == "fivek" else config.class_names,  # FiveK has classes of its own
        **prepare_options(config).to_dict(),
    )
    if config.ingest_workers > 1 and not managed:
        example_gen.with_beam_pipeline_args(
            ["--direct_running_mode=multi_threading", f"--direct_num_workers={config.ingest_workers}"]
        )
    return example_gen


def make_learners(config: PipelineConfig, examples: Any, schema: Any) -> tuple[list[Any], Any]:
    """The Trainer, preceded by the Tuner where ``tuner_trials`` is above 0.

    Args:
      config: How to train.
      examples: Channel of Examples with the splits ``train`` and ``eval``.
      schema: Channel of the schema.

    Returns:
      The components, and the channel of the trained model.
    """
    learns_from = {
        "examples": examples,
        "schema": schema,
        "train_args": TRAINER_MESSAGES.TrainArgs(splits=["train"]),
        "eval_args": TRAINER_MESSAGES.EvalArgs(splits=["eval"]),
        "custom_config": {
            "config": training_config(config).to_json(),
            "code": code_digest(config.trainer, TUNER_MODULE),
        },
    }
    if not config.tuner_trials:
        trainer = parts.Trainer(run_fn=f"{config.trainer}.run_fn", **learns_from)
        return [trainer], trainer.outputs["model"]
    tuner = parts.Tuner(tuner_fn=f"{TUNER_MODULE}.tuner_fn", **learns_from)
    best = tuner.outputs["best_hyperparameters"]
    trainer = parts.Trainer(run_fn=f"{config.trainer}.run_fn", hyperparameters=best, **learns_from)
    return [tuner, trainer], trainer.outputs["model"]


def make_gates(config: PipelineConfig, model: Any, examples: Any, *, managed: bool = False) -> list[Any]:
    """The gates between a trained model and its users: last blessed model, Evaluator, InfraValidator, Pusher.

    Args:
      config: Thresholds, and where to push.
      model: Channel of the trained model.
      examples: Channel of Examples with a split ``test``.
      managed: See :func:`create_pipeline`.
    """
    latest_blessed = previous_blessed_model(model, stock=managed)
    evaluator = parts.Evaluator(
        examples=examples,
        example_splits=["test"],
        model=model,
        baseline_model=latest_blessed.outputs[MODEL],
        eval_config=make_eval_config(
            num_classes=len(config.class_names),
            minimum_accuracy=config.minimum_accuracy,
            minimum_skill=config.minimum_skill,
            minimum_balanced_accuracy=config.minimum_balanced_accuracy,
            maximum_drop=config.maximum_drop,
            counts=config.counts,
        ),
    )
    gates = [latest_blessed, evaluator]
    infra_blessing = None
    if config.infra_validation:
        infra_validator = make_infra_validator(model, examples)
        infra_blessing = infra_validator.outputs["blessing"]
        gates.append(infra_validator)
    pusher = parts.Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_blessing,
        push_destination=PUSHER_MESSAGES.PushDestination(
            filesystem=PUSHER_MESSAGES.PushDestination.Filesystem(
                base_directory=config.location("serving", config.name)
            )
        ),
    )
    return [*gates, pusher]


def make_infra_validator(model: Any, examples: Any) -> Any:
    """The InfraValidator, which loads the model in TensorFlow Serving's Docker image and sends it one Example."""
    return parts.InfraValidator(
        model=model,
        examples=examples,
        serving_spec=INFRA_MESSAGES.ServingSpec(
            tensorflow_serving=INFRA_MESSAGES.TensorFlowServing(tags=[SERVING_TAG]),
            local_docker=INFRA_MESSAGES.LocalDockerConfig(),
        ),
        validation_spec=INFRA_MESSAGES.ValidationSpec(max_loading_time_seconds=120, num_tries=3),
        request_spec=INFRA_MESSAGES.RequestSpec(
            tensorflow_serving=INFRA_MESSAGES.TensorFlowServingRequestSpec(signature_names=["serving_default"]),
            num_examples=1,
        ),
    )


def drift_config() -> Any:
    """The distributions that are compared with those of the previous data set."""
    config = DRIFT_MESSAGES.DistributionValidatorConfig()
    for name in DRIFTING:
        feature = config.default_slice_config.feature.add()
        feature.path.step.append(name)
        feature.distribution_comparator.jensen_shannon_divergence.threshold = MAXIMUM_DRIFT
    return config
