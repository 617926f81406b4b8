"""TFX's command line with one more option: ``tfx run create --pipeline path/to/pipeline.py``.

The file is registered (created, or updated) under its absolute path and then run. Every stock command passes through.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import tfvs  # noqa: F401  before anything of TFX: sets TF_USE_LEGACY_KERAS

warnings.filterwarnings("ignore")

import click  # noqa: E402


def add_pipeline_option(command: click.Command) -> None:
    """Adds ``--pipeline`` to ``tfx run create``.

    Args:
      command: TFX's click command, changed in place.
    """
    from tfx.tools.cli import labels
    from tfx.tools.cli.handler import handler_factory

    name = next(parameter for parameter in command.params if parameter.name == "pipeline_name")
    name.required = False
    command.params.append(
        click.Option(
            ["--pipeline"],
            type=click.Path(exists=True, dir_okay=False, resolve_path=True),
            help="Pipeline file to register and run, instead of --pipeline_name.",
        )
    )
    stock = command.callback
    if stock is None:
        raise RuntimeError("TFX's `run create` has no callback; this TFX version is not the one in the lock.")

    def create(pipeline: str | None = None, **options: Any) -> Any:
        if bool(pipeline) == bool(options.get("pipeline_name")):
            raise click.UsageError("Give exactly one of --pipeline and --pipeline_name.")
        if pipeline:
            if options["engine"] == "auto":
                options["engine"] = "local"
            flags = {labels.ENGINE_FLAG: options["engine"], labels.PIPELINE_DSL_PATH: os.path.abspath(pipeline)}
            handler: Any = handler_factory.create_handler(flags)
            patcher = handler._get_dag_runner_patcher()
            context = handler.execute_dsl(patcher)
            handler._save_pipeline(
                {
                    labels.PIPELINE_NAME: context[patcher.PIPELINE_NAME],
                    labels.PIPELINE_ROOT: context[patcher.PIPELINE_ROOT],
                }
            )
            options["pipeline_name"] = context[patcher.PIPELINE_NAME]
        return stock(**options)

    command.callback = create


def main() -> None:
    """The ``tfx`` command of this project's environment."""
    from tfx.tools.cli.cli_main import cli_group
    from tfx.tools.cli.commands.run import run_group

    add_pipeline_option(run_group.commands["create"])
    cli_group(prog_name="tfx")


if __name__ == "__main__":
    main()
