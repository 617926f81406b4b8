"""The paper's experiments: each is a command that its benchmark takes, and the page says what the results say."""

import importlib
import json
import re
import shlex

import pytest
from click.testing import CliRunner

from benchmarks.experiments import EXPERIMENTS, command, one_of_each
from benchmarks.reproduce import PAGE, RESULTS, main
from benchmarks.reproduction_page import page, write_page

MACHINE = {"cpu": "AMD EPYC 7B13", "cores": 2, "date": "2020-01-02"}


def test_the_page_is_what_the_results_give():
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run python -m benchmarks.reproduce --page"


def test_names_and_results_are_told_apart():
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert len({experiment.result for experiment in EXPERIMENTS}) == len(EXPERIMENTS)


@pytest.mark.parametrize("quick", [False, True])
def test_every_command_is_one_that_its_benchmark_takes(tmp_path, quick):
    for experiment in EXPERIMENTS:
        module, *arguments = command(experiment, "uci", tmp_path, tmp_path, quick=quick)
        context = importlib.import_module(module).main.make_context(module, arguments)
        assert context.params["results"] == str(tmp_path)


def test_what_is_listed_can_be_pasted_into_a_shell(tmp_path):
    listed = CliRunner().invoke(main, ["--list", "--results", str(tmp_path)]).output
    lines = [line for line in listed.splitlines() if line.startswith("    python -m ")]
    assert len(lines) == len(EXPERIMENTS)
    assert listed.count("not run") == len(EXPERIMENTS)
    assert CliRunner().invoke(main, ["--again", "--results", str(tmp_path)]).output == listed  # nothing is run unasked
    for experiment, line in zip(EXPERIMENTS, lines, strict=True):
        words = shlex.split(line)
        assert words[len(words) - len(experiment.arguments) :] == list(experiment.arguments)


def test_a_figure_comes_from_its_file(tmp_path):
    experiment = EXPERIMENTS[0]
    assert "**" not in page(tmp_path)
    report = {"accuracy": 0.12345, "accuracy_of_samples": 0.2, "cpu_minutes": 61.7, "machine": MACHINE}
    (tmp_path / experiment.result).write_text(json.dumps(report))
    text = page(tmp_path)
    assert "**12.35 / 20.00** | 62 | AMD EPYC, 2 cores, 2020-01-02" in text
    assert f"1 of {len(EXPERIMENTS)} runs is done." in text
    for run, accuracy in zip(runs_of("keep", 0.1), (0.5, 0.7), strict=False):
        (tmp_path / run.result).write_text(json.dumps({**report, "accuracy": accuracy}))
    assert "**60.00 ± 14.14 (2 of 3 seeds)**" in page(tmp_path)
    assert "2 of 27 runs are done." in page(tmp_path)


def test_plots_are_shown_where_they_have_something_to_show(tmp_path):
    write_page(tmp_path / "page.md", tmp_path)
    assert "](results/" not in (tmp_path / "page.md").read_text()
    assert not list(tmp_path.glob("*.png"))
    (run,) = runs_of("paper-stddev", None)[:1]
    (tmp_path / run.result).write_text(json.dumps({"accuracy": 0.5, "cpu_minutes": 1.0, "machine": MACHINE}))
    write_page(tmp_path / "page.md", tmp_path)
    shown = re.findall(r"\]\(results/(.*?)\)", (tmp_path / "page.md").read_text())
    assert shown == ["ablation-variance.png"] == [path.name for path in tmp_path.glob("*.png")]


def test_quick_runs_never_write_among_real_results():
    result = CliRunner().invoke(main, ["--quick"])
    assert result.exit_code == 2
    assert "--results" in result.output


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_everything_runs_quickly(tmp_path):
    arguments = ["--quick", "--digits", "uci", "--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "results").glob("*.json")} == {e.result for e in one_of_each()}
    assert (tmp_path / "results" / "reproduction.md").read_text() == page(tmp_path / "results")
    again = CliRunner().invoke(main, arguments)
    assert again.output.count("there is a result") == len(one_of_each())


def runs_of(kind, setting):
    return [run for run in EXPERIMENTS if (run.kind, run.setting) == (kind, setting)]
