"""The command ``tfvs``: its commands, and how an error ends it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tfvs.cli.doctor import doctor
from tfvs.cli.evaluate import evaluate
from tfvs.cli.inspect import inspect
from tfvs.cli.predict import predict
from tfvs.cli.prepare import prepare
from tfvs.cli.serve import serve
from tfvs.cli.train import train
from tfvs.cli.view import view
from tfvs.errors import STOPPED, TfvsError
from tfvs.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tfvs")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Classify images far too large to classify whole."""
    del debug  # read by main, which sees errors that come before a command runs, too


cli.add_command(doctor)
cli.add_command(evaluate)
cli.add_command(inspect)
cli.add_command(predict)
cli.add_command(prepare)
cli.add_command(serve)
cli.add_command(train)
cli.add_command(view)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; an error is one sentence on stderr and the error's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(args=given, prog_name="tfvs", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("tfvs: Stopped; the same command goes on from here.", err=True)
        sys.exit(STOPPED)
    except TfvsError as error:
        _fail(str(error), error.exit_code, given)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}. Run it again with --debug before the command.", 1, given)


def _fail(message: str, code: int, given: list[str]) -> None:
    if "--debug" in given:
        raise
    click.echo(f"tfvs: {' '.join(message.split())}", err=True)
    sys.exit(code)
