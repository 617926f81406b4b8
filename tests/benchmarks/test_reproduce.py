"""The paper's experiments: each is a command that its benchmark takes, and the page says what the results say."""

import importlib
import json

import pytest
from click.testing import CliRunner

from benchmarks.reproduce import EXPERIMENTS, PAGE, RESULTS, command, main, one_of_each, page


def test_the_page_is_what_the_results_give():
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run python -m benchmarks.reproduce --page"


def test_names_and_results_are_told_apart():
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert len({experiment.result for experiment in EXPERIMENTS}) == len(EXPERIMENTS)


def test_every_command_is_one_that_its_benchmark_takes(tmp_path):
    for experiment in EXPERIMENTS:
        module, *arguments = command(experiment, "uci", tmp_path, tmp_path, quick=True)
        context = importlib.import_module(module).main.make_context(module, arguments)
        assert context.params["results"] == str(tmp_path)


def test_a_figure_comes_from_its_file(tmp_path):
    experiment = EXPERIMENTS[0]
    assert "**" not in page(tmp_path)
    machine = {"cpu": "AMD EPYC 7B13", "cores": 2, "date": "2020-01-02"}
    report = {"accuracy": 0.12345, "accuracy_of_samples": 0.2, "cpu_minutes": 61.7, "machine": machine}
    (tmp_path / experiment.result).write_text(json.dumps(report))
    assert "**12.35 / 20.00** | 62 | AMD EPYC, 2 cores, 2020-01-02" in page(tmp_path)
    keep = [run for run in EXPERIMENTS if run.title == "keep 0.1"]
    for run, accuracy in zip(keep, (0.5, 0.7), strict=False):
        (tmp_path / run.result).write_text(json.dumps({**report, "accuracy": accuracy}))
    assert "**60.00 ± 14.14 (2 of 3 seeds)**" in page(tmp_path)


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
    again = CliRunner().invoke(main, arguments)
    assert again.output.count("there is a result") == len(one_of_each())
