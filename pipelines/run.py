"""``make run``: the main job, from raw images to an answer over gRPC, with progress and exit codes a user can read.

Every step is skipped when it is done, so an interrupted run goes on and a second one is short.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tfvs.config import Config, option
from tfvs.datasets.digits import SOURCES_HELP
from tfvs.errors import one_sentence
from tfvs.flags import flags_of, from_flags
from tfvs.paths import is_local, require_local

REPOSITORY = Path(__file__).resolve().parent.parent
GENERATED = ("two_digit_mnist", "megapixel_mnist", "starcraft2")  # pipelines whose data this repository makes
PIPELINES = (*GENERATED, "speed_limits", "adobe5k", "my_images")
# What a reader wants to see of TFX's log: which component runs, and the trainer's own lines.
_SHOWN = (
    re.compile(r"Component (?P<component>\S+) is running\."),
    re.compile(r"tfvs: (?P<line>.*)"),
    re.compile(r"error: (?P<line>.*)"),
)


@dataclass(frozen=True)
class RunOptions(Config):
    """What a run reads, and where it writes."""

    data: str | None = option(None, f"Folder or URI of the raw data; without it {', '.join(GENERATED)} make their own.")
    digits: str = option("uci", SOURCES_HELP)
    runs: str = option(str(REPOSITORY / "runs"), "Folder that everything is written into.")


class Progress:
    """Steps with their times, on standard error."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        """One line with the time since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        click.echo(f"[{minutes:2d}:{seconds:02d}] {text}", err=True)


def run_logged(command: list[str], log: Path, environ: dict[str, str], show: Callable[[str], None]) -> None:
    """Runs a command; its whole output goes to a log, what a reader wants to see also to ``show``.

    Raises:
      click.exceptions.Exit: It failed; its last lines are shown, and its exit code is passed on.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: list[str] = []
    with log.open("a") as file:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, cwd=REPOSITORY
        )
        if process.stdout is None:
            raise RuntimeError("The command has no output to read.")
        try:
            for line in process.stdout:
                file.write(line)
                last = [*last[-19:], line.rstrip()]
                for text in shown(line):
                    show(text)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        code = process.wait()
    if code:
        errors = [line for line in last if line.startswith("error: ")]
        for text in [] if errors else last:
            click.echo(f"    {text}", err=True)
        click.echo(f"error: {' '.join(command[:3])} ... failed with exit code {code}; its whole log: {log}", err=True)
        raise click.exceptions.Exit(code if 0 < code < 126 else 1)


def shown(line: str) -> list[str]:
    """The parts of a log line that a reader wants to see."""
    texts = []
    for pattern in _SHOWN:
        if match := pattern.search(line):
            fields = match.groupdict()
            texts.append(fields["line"] if "line" in fields else f"  {fields['component']} ...")
    return texts


def run_pipeline(name: str, environ: dict[str, str], progress: Progress) -> Path:
    """Registers and runs a pipeline through the TFX command line; returns its log."""
    tfx = str(Path(sys.executable).with_name("tfx"))
    path = str(REPOSITORY / "pipelines" / f"{name}.py")
    log = Path(environ["TFVS_RUNS_ROOT"]) / name / "tfx.log"
    registered = _registered_path(Path(environ["LOCAL_HOME"]) / name)
    if registered != path:
        verb = "update" if registered else "create"
        progress.line(f"tfx pipeline {verb} --engine local --pipeline_path pipelines/{name}.py")
        run_logged([tfx, "pipeline", verb, "--engine", "local", "--pipeline_path", path], log, environ, progress.line)
    progress.line(f"tfx run create --engine local --pipeline_name {name}")
    run_logged([tfx, "run", "create", "--engine", "local", "--pipeline_name", name], log, environ, progress.line)
    return log


def _registered_path(folder: Path) -> str | None:
    """The file that TFX's local engine has registered, and reads again on every run; None where there is none."""
    try:
        return str(json.loads((folder / "pipeline_args.json").read_text())["pipeline_dsl_path"])
    except (OSError, ValueError, KeyError):
        return None


@click.command()
@click.argument("pipeline", type=click.Choice(PIPELINES))
@flags_of(RunOptions)
def main(pipeline: str, **fields: Any) -> None:
    """Runs PIPELINE, serves the pushed model and asks it where it looks."""
    from pipelines import demo

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # TFMA uses deprecated functions
    progress = Progress()
    options = from_flags(RunOptions, fields)
    with one_sentence():
        require_local(
            options.runs, "make run serves a model from this machine", "tfx run create keeps runs in a bucket"
        )
    runs = Path(options.runs).resolve()
    environ = {
        **os.environ,
        "TFVS_RUNS_ROOT": str(runs),
        "LOCAL_HOME": str(runs / "tfx"),  # where TFX's command line keeps what it registered
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
    }
    try:
        with one_sentence():
            if options.data:
                data = options.data if not is_local(options.data) else str(Path(options.data).resolve())
            elif pipeline in GENERATED:
                data = str(demo.make_data(pipeline, runs, options.digits, progress.line).resolve())
            else:
                raise click.UsageError(f"{pipeline} needs its data: make run PIPELINE={pipeline} DATA=/path/to/it")
            environ["TFVS_DATA"] = data
            run_pipeline(pipeline, environ, progress)
            demo.show(pipeline, environ, progress.line)
    except KeyboardInterrupt:
        click.echo("Stopped; the same command goes on from here.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
