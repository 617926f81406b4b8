"""The plots of the ablations say what the results say: a mean per setting, and a bar where there are several seeds."""

import json
import statistics

import pytest

from benchmarks.ablations import PLOTS, draw, draw_panel, read_points
from benchmarks.experiments import EXPERIMENTS

KEEP, _ = PLOTS["ablation-proxy"]
_, PAPER = PLOTS["ablation-variance"]


def write(folder, panel, accuracies):
    """Results of some settings: accuracies of the first seeds, by setting."""
    for setting, found in accuracies.items():
        runs = [run for run in EXPERIMENTS if (run.kind, run.setting) == (panel.kind, setting)]
        for run, accuracy in zip(runs, found, strict=False):
            (folder / run.result).write_text(json.dumps({"accuracy": accuracy}))


def draw_alone(panel, points):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw_panel(axes, panel, points)
    return axes


def test_every_ablation_is_in_a_plot_and_only_once():
    panels = [(panel.section, panel.kind) for panels in PLOTS.values() for panel in panels]
    varied = {(run.section, run.kind) for run in EXPERIMENTS if not run.title.endswith(f"seed {run.name[-1]}")}
    assert len(panels) == len(set(panels))
    assert set(panels) == {key for key in varied if key[1] in ("keep", "noise", "stddev", "paper-stddev")}


def test_a_setting_is_the_mean_of_its_seeds_and_one_seed_has_no_bar(tmp_path):
    write(tmp_path, KEEP, {1.0: (0.9, 0.92, 0.97), 0.05: (0.8,), 0.01: (0.5, 0.6)})
    points = read_points(KEEP, tmp_path)
    assert [(point.setting, point.runs) for point in points] == [(0.01, 2), (0.05, 1), (1.0, 3)]
    assert [point.mean for point in points] == pytest.approx([55, 80, 93])
    assert [point.spread for point in points] == [pytest.approx(statistics.stdev([50, 60])), None,
                                                  pytest.approx(statistics.stdev([90, 92, 97]))]  # fmt: skip
    axes = draw_alone(KEEP, points)
    assert axes.lines[0].get_xydata().tolist() == [[1.0, pytest.approx(55)], [5.0, 80.0], [100.0, pytest.approx(93)]]
    bars = [container.lines[2][0].get_segments()[0][:, 1].tolist() for container in axes.containers]
    assert bars == [pytest.approx([mean - spread, mean + spread]) for _, mean, spread, _ in points if spread]


def test_the_learned_variance_is_a_line_across(tmp_path):
    write(tmp_path, PAPER, {None: (0.9, 0.8), 0.6: (0.7,)})
    points = read_points(PAPER, tmp_path)
    assert [point.setting for point in points] == [0.6, None]
    axes = draw_alone(PAPER, points)
    assert axes.lines[-1].get_ydata() == pytest.approx([85, 85])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["learned, 2 runs"]


def test_without_results_there_is_no_plot_and_one_result_is_enough_for_one(tmp_path):
    assert draw("ablation-proxy", tmp_path) is None
    write(tmp_path, KEEP, {0.5: (0.5,)})
    picture = draw("ablation-proxy", tmp_path)
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert draw("ablation-variance", tmp_path) is None
