"""The page of the paper's experiments, made from the JSON files of their results alone."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from benchmarks.ablations import PLOTS, draw
from benchmarks.experiments import EXPERIMENTS, MISSING, Experiment
from benchmarks.paper_figures import CAPTIONS, REPORT, picture_name
from tfvs.viz.files import write_atomically

INTRODUCTION = """# The paper's experiments

This page is written by `python -m benchmarks.reproduce --page` from the files in `docs/results`; no figure
is typed. Accuracy is in per cent on the test images. Where two figures stand, the first follows the
likeliest places and the second averages sampled trajectories. Minutes are the processor's, tests included;
those of a run that was not made are the most that it may take.
The command of each row is printed by `python -m benchmarks.reproduce --list`. What the figures mean:
[Accuracy](accuracy.md), [Large images](large_images.md), [Small things](megapixel.md),
[Counting marines](starcraft2.md).
"""


def write_page(path: Path, results: Path) -> None:
    """Writes the page, and the plots of the ablations into the folder of the results."""
    for name in PLOTS:
        picture = draw(name, results)
        if picture is not None:
            write_atomically(results / f"{name}.png", picture)
    path.write_text(page(results), encoding="utf-8")


def page(results: Path) -> str:
    """The Markdown of ``docs/reproduction.md``, from the JSON files in ``results``."""
    lines = [INTRODUCTION, f"{_done(EXPERIMENTS, results)}", ""]
    for section in dict.fromkeys(experiment.section for experiment in EXPERIMENTS):
        runs = [experiment for experiment in EXPERIMENTS if experiment.section == section]
        lines += [f"## {section}", "", _done(runs, results), ""]
        lines += ["| | `--only` | paper or peers | here | minutes | machine and date |", "|---|---|---|---|---|---|"]
        rows: dict[str, list[Experiment]] = {}
        for experiment in runs:
            rows.setdefault(experiment.title, []).append(experiment)
        lines += [_row(title, seeds, results) for title, seeds in rows.items()]
        lines.append("")
        for name, panels in PLOTS.items():
            own = {panel.section for panel in panels}
            last = [experiment.section for experiment in EXPERIMENTS if experiment.section in own][-1]
            done = any((results / run.result).exists() for run in EXPERIMENTS if run.section in own)
            if section == last and done:
                lines += [f"![Accuracy by setting, mean and standard deviation](results/{name}.png)", ""]
    lines += _pictures(results)
    lines += ["## Not reproduced", "", "| | paper | |", "|---|---|---|"]
    lines += [f"| {what} | {figure} | {why} |" for what, figure, why in MISSING]
    return "\n".join(lines) + "\n"


def _done(runs: tuple[Experiment, ...] | list[Experiment], results: Path) -> str:
    done = sum((results / run.result).exists() for run in runs)
    return f"{done} of {len(runs)} runs {'is' if done == 1 else 'are'} done."


def _row(title: str, runs: list[Experiment], results: Path) -> str:
    """One row: a run, or the mean and standard deviation over the seeds of one setting."""
    reports = [json.loads((results / run.result).read_text()) for run in runs if (results / run.result).exists()]
    names = f"`{runs[0].name}`" + (f" to `{runs[-1].name}`" if len(runs) > 1 else "")
    if not reports:
        return f"| {title} | {names} | {runs[0].paper or '–'} | not run | about {sum(r.minutes for r in runs)} | |"
    machine = reports[-1]["machine"]
    where = f"{_processor(machine['cpu'])}, {machine['cores']} cores, {machine['date']}"
    minutes = sum(report["cpu_minutes"] for report in reports)
    if len(runs) == 1:
        ours = runs[0].figure(reports[0])
    else:
        found = [100 * report["accuracy"] for report in reports]
        spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
        ours = f"{statistics.mean(found):.2f}{spread} ({len(found)} of {len(runs)} seeds)"
    return f"| {title} | {names} | {runs[0].paper or '–'} | **{ours}** | {minutes:.0f} | {where} |"


def _processor(name: str) -> str:
    for word in ("AMD EPYC", "Xeon"):
        if word in name:
            return word if word.startswith("AMD") else "Intel Xeon"
    return name


def _pictures(results: Path) -> list[str]:
    """The pictures of :mod:`benchmarks.paper_figures`, where they are there."""
    if not (results / REPORT).exists():
        return []
    report = json.loads((results / REPORT).read_text())
    lines = [
        "## Pictures: saccades, posterior, reconstructions (figures 3, 5 and 6)",
        "",
        f"The model is `{report['run']}` of this page: {100 * report['accuracy']:.2f} % of its {report['test_images']} "
        f"test images, trained in {report['cpu_minutes']:.0f} minutes of one core. Shown are the first "
        f"{report['images']} test images, not chosen ones; {report['right']} of them are answered rightly. "
        f"Drawn on {report['date']} by",
        "",
        "```bash",
        report["command"],
        "```",
        "",
    ]
    for name in report["pictures"]:
        lines += [f"![{CAPTIONS[name]}](results/{picture_name(name)})", "", CAPTIONS[name], ""]
    return lines
