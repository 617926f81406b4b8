"""Flags that TensorFlow Serving has and this server does without: scripts that give them go on working."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

# Flags whose value tunes TensorFlow Serving, or asks for what happens here anyway.
WITHOUT_EFFECT = (
    "allow_version_labels_for_unavailable_models",
    "enable_grpc_healthcheck_service",
    "enable_model_warmup",
    "enable_per_model_batching_parameters",
    "flush_filesystem_caches",
    "load_retry_interval_micros",
    "max_num_load_retries",
    "mixed_precision",
    "num_load_threads",
    "num_request_iterations_for_warmup",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "rest_api_num_threads",
    "skip_initialize_tpu",
    "tensorflow_session_config_file",
    "tensorflow_session_parallelism",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)
# Flags that would change what is served, or to whom: only these values are what happens here.
ONLY_VALUE = {"platform_config_file": ("",), "saved_model_tags": ("serve",), "use_alts_credentials": ("false", "0")}


def ignored_flags(command: F) -> F:
    """A decorator that lets a click command take these flags, with one warning for all that were given."""
    for name in (*WITHOUT_EFFECT, *ONLY_VALUE):
        option = click.option(
            f"--{name}", is_flag=False, flag_value="true", hidden=True, expose_value=False, callback=_note
        )
        command = option(command)
    return command


def warn_of_ignored_flags() -> None:
    """Logs which flags of the running command have no effect; nothing where there are none."""
    given = click.get_current_context().meta.get(__name__, [])
    if given:
        logging.getLogger("tfvs.server").warning(
            "These flags of TensorFlow Serving have no effect here: %s", ", ".join(f"--{name}" for name in given)
        )


def _note(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    name = parameter.name or ""
    accepted = ONLY_VALUE.get(name)
    if accepted is None:
        context.meta.setdefault(__name__, []).append(name)
    elif value.lower() not in accepted:
        what = f"This server has only {accepted[0]!r} of TensorFlow Serving's choices; received: {value!r}."
        raise click.BadParameter(what, context, parameter)
