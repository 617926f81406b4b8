"""What the options and the files they name mean: models, batching and the number of threads."""

from __future__ import annotations

import os

from tfvs.server.batching import BatchingParameters
from tfvs.server.manager import ModelConfig
from tfvs.server.options import ServerOptions
from tfvs.server.status import LOGGER
from tfvs.server.text_configs import read_batching, read_models


def models_to_serve(options: ServerOptions) -> list[ModelConfig]:
    """The models of the configuration file, or the one of the command line.

    Raises:
      DataError: The file cannot be read.
      ConfigError: It says what cannot be served.
    """
    if not options.model_config_file:
        return [ModelConfig(options.model_name, options.model_base_path)]
    if options.model_base_path or options.model_name != ServerOptions.model_name:
        LOGGER.warning("--model_name and --model_base_path are ignored: --model_config_file names the models.")
    return read_models(options.model_config_file)


def batching_of(options: ServerOptions) -> BatchingParameters | None:
    """How requests are batched; None: not at all.

    Raises:
      DataError: The file cannot be read.
      ConfigError: A value that cannot work.
    """
    if not options.enable_batching:
        return None
    path = options.batching_parameters_file
    return read_batching(path) if path else BatchingParameters()


def request_threads(options: ServerOptions, batching: BatchingParameters | None) -> int:
    """Requests handled at a time; a batch can only be as large as the requests that wait for it together."""
    fitting = 4 * (os.cpu_count() or 1)
    return options.grpc_max_threads or max(fitting, 2 * batching.max_batch_size if batching else 0)
