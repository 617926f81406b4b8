"""The paper's experiments, each by a command, and the page that shows their figures beside the paper's.

    python -m benchmarks.reproduce                                             # what there is, and its last figures
    python -m benchmarks.reproduce --digits mnist.npz --only identify-saccader-1
    python -m benchmarks.reproduce --quick --digits uci --results /tmp/quick   # everything, tiny, to try the machinery
    python -m benchmarks.reproduce --all --digits mnist.npz                    # what has no result yet: days of a core
    python -m benchmarks.reproduce --page                                      # writes docs/reproduction.md anew

An experiment is a benchmark of this folder with fixed arguments (``benchmarks.experiments``); it writes a JSON file,
and one whose file is there is not run again unless ``--again`` is given. A run that was stopped goes on from its
checkpoint. ``docs/reproduction.md`` and its plots are made from the JSON files alone; with ``--results`` they are
written there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from benchmarks.experiments import EXPERIMENTS, Experiment, command, one_of_each
from benchmarks.reproduction_page import write_page

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reproduction.md"
RESULTS = ROOT / "docs" / "results"
LAST_LINES = 20  # of the log, shown when a run fails


def _list(results: Path) -> None:
    for experiment in EXPERIMENTS:
        path = results / experiment.result
        last = experiment.figure(json.loads(path.read_text())) if path.exists() else "not run"
        click.echo(f"{experiment.name:40} {experiment.minutes:4} min   {last}")
        given = [] if experiment.module == "starcraft2" else ["--digits=DIGITS"]
        click.echo(f"    python -m benchmarks.{experiment.module} {shlex.join([*given, *experiment.arguments])}")


class Runner:
    """Runs experiments, each as a process of its own whose output goes to a log.

    Args:
      digits: uci, mnist or the path of an .npz.
      results: Folder of the JSON files.
      runs: Folder of data, checkpoints and logs.
      quick: Whether runs are tiny.
    """

    def __init__(self, digits: str, results: Path, runs: Path, quick: bool) -> None:
        self._digits, self._results, self._quick = digits, results.absolute(), quick
        self._runs = runs.absolute() / "quick" if quick else runs.absolute()

    def run_all(self, experiments: Sequence[Experiment], at_once: int) -> None:
        """Runs them in order, some at the same time.

        Args:
          experiments: What to run.
          at_once: Number of processes.

        Raises:
          click.ClickException: A run failed; those that had begun came to their end, others were not begun.
        """
        with ThreadPoolExecutor(at_once) as pool:
            try:
                list(pool.map(self._run, experiments))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _run(self, experiment: Experiment) -> None:
        fresh = self._runs / "new" / experiment.name  # whatever the benchmark calls its result, it is alone here
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        arguments = command(experiment, self._digits, fresh, self._runs, self._quick)
        log = self._runs / "logs" / f"{experiment.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        click.echo(f"{experiment.name}: python -m {shlex.join(arguments)}\n    log: {log}")
        begun = time.monotonic()
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            raise click.ClickException(
                f"{experiment.name} ended with exit code {process.returncode}, see {log}\n{tail}"
            )
        self._results.mkdir(parents=True, exist_ok=True)
        for path in fresh.iterdir():
            shutil.move(path, self._results / Path(experiment.result).with_suffix(path.suffix))
        fresh.rmdir()
        report = json.loads((self._results / experiment.result).read_text())
        minutes, processor = (time.monotonic() - begun) / 60, (usage.ru_utime + usage.ru_stime) / 60
        click.echo(
            f"{experiment.name}: {experiment.figure(report)} in {minutes:.1f} min, {processor:.2f} of the processor"
        )


@click.command()
@click.option(
    "--list",
    "lists",
    is_flag=True,
    help="Print every experiment, its minutes, last result and command: what happens where nothing else is asked for.",
)
@click.option("--page", "writes_page", is_flag=True, help="Write the page from the results that are there.")
@click.option("--only", multiple=True, type=click.Choice([e.name for e in EXPERIMENTS]), help="Run these alone.")
@click.option("--all", "everything", is_flag=True, help="Run whatever has no result: days of one core.")
@click.option("--quick", is_flag=True, help="Run tiny versions, which show nothing but that everything works.")
@click.option("--again", is_flag=True, help="Run what has a result, too.")
@click.option(
    "--digits", default="mnist", show_default=True, help="uci, mnist (keras.datasets) or the path of an .npz."
)
@click.option("--results", type=click.Path(path_type=Path), help="Folder of the JSON files. [default: docs/results]")
@click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Data, checkpoints and logs."
)
def main(
    lists: bool,
    writes_page: bool,
    only: tuple[str, ...],
    everything: bool,
    quick: bool,
    again: bool,
    digits: str,
    results: Path | None,
    runs: Path,
) -> None:
    """Runs the paper's experiments, or shows what there is to run."""
    if quick and results is None:
        raise click.UsageError("--quick wants --results: a folder of its own, so that real results stay")
    folder = results or RESULTS
    if lists or not (writes_page or only or everything or quick):
        _list(folder)
        return
    if not writes_page:
        if Path(digits).suffix:
            digits = str(Path(digits).absolute())
        chosen = [e for e in (one_of_each() if quick and not only else EXPERIMENTS) if not only or e.name in only]
        missing = [e for e in chosen if again or not (folder / e.result).exists()]
        for experiment in chosen:
            if experiment not in missing:
                click.echo(f"{experiment.name}: there is a result; --again runs it anew")
        Runner(digits, folder, runs, quick).run_all(missing, len(os.sched_getaffinity(0)) if quick else 1)
    path = PAGE if results is None else folder / PAGE.name
    write_page(path, folder)
    click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
