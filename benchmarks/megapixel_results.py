"""The results of ``python -m benchmarks.megapixel`` beside what others published: a plot per run, and a table.

python -m benchmarks.megapixel_results
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import click


class Peer(NamedTuple):
    """A published figure on the task "majority" of Megapixel MNIST.

    Attributes:
      method: The method, and where it was published.
      side: Side of the canvases, pixels.
      train_images: Number of training images.
      accuracy: Per cent.
      training: How long it trained, as published.
      reads: What it reads of an image.
    """

    method: str
    side: int
    train_images: int
    accuracy: float
    training: str
    reads: str


_ATS = "attention sampling (Katharopoulos & Fleuret 2019)"
_IPS = "IPS (Bergner et al. 2023)"
PEERS = (
    Peer(_ATS, 1500, 5000, 80.0, "500 epochs, GPU", "10 patches of 50 px"),
    Peer(_IPS, 1500, 5000, 99.1, "150 epochs, GPU", "every patch"),
    Peer(_IPS, 3000, 5000, 99.1, "150 epochs, GPU", "every patch"),
    Peer(_IPS, 3000, 2000, 88.3, "150 epochs, GPU", "every patch"),
    Peer(_IPS, 3000, 1000, 66.6, "150 epochs, GPU", "every patch"),
    Peer(_IPS, 3000, 600, 30.1, "150 epochs, GPU", "every patch"),
)
COLUMNS = (
    "canvas", "training images", "method", "accuracy, %", "of samples, %", "class's digits seen, %",
    "training", "images/s, training", "images/s, test", "of the image read, %", "peak memory, MB",
)  # fmt: skip


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Reports of the benchmark, smallest canvas first, most training images first."""
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("megapixel-*.json"))]
    return sorted(reports, key=lambda report: (report["side"], -report.get("train_images", 0), report["name"]))


def table(reports: list[dict[str, Any]]) -> str:
    """Markdown: every run, and every published figure of the same canvas."""
    rows = [(report["side"], -report.get("train_images", 0), _own_row(report)) for report in reports]
    rows += [(peer.side, -peer.train_images, _peer_row(peer)) for peer in PEERS]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row for *_, row in sorted(rows, key=lambda row: row[:2]))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _own_row(report: dict[str, Any]) -> tuple[str, ...]:
    trained = report.get("trained")
    method = f"tfvs, {report['config']['num_steps']} looks"
    method += f", {report['label']}" if report["label"] else ""
    method += ", scribbles of quarters of digits" if report["scribbles"] == "quarters" else ""
    method += f", trained as {trained}" if trained else f", seed {report['seed']}"
    speed = report.get("training_images_per_second")
    return (
        f"{report['side']}²",
        "–" if trained else str(report["train_images"]),
        method,
        f"**{100 * report['accuracy']:.1f}**",
        f"{100 * report['accuracy_of_samples']:.1f}",
        f"{100 * report['digits_seen']:.1f}",
        "none" if trained else f"{report['cpu_minutes']:.1f} min of one core",
        f"{speed:.0f}" if speed else "–",
        f"{report['test_images_per_second']:.0f}",
        f"{100 * report['share_read']:.2f}",
        f"{report['peak_memory_mb']:.0f}",
    )


def _peer_row(peer: Peer) -> tuple[str, ...]:
    about = "about " if peer.method == _ATS else ""
    own = (f"{peer.side}²", str(peer.train_images), peer.method, f"{about}{peer.accuracy:.1f}", "–", "–")
    return (*own, peer.training, "–", "–", peer.reads, "–")


def plot(report: dict[str, Any], path: Path) -> None:
    """Accuracy by minutes of the processor, with the published figures as lines; nothing for a run without training."""
    from matplotlib.figure import Figure

    history = report.get("history")
    if not history:
        return
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    share = report["cpu_minutes"] / len(history)
    minutes = [share * (row["epoch"] + 1) for row in history]
    for key, label in (("accuracy", "training, places drawn"), ("val_accuracy", "test, likeliest places")):
        axes.plot(minutes, [100 * row[key] for row in history], label=label)
    peers = {peer.method: peer.accuracy for peer in PEERS
             if (peer.side, peer.train_images) == (report["side"], report["train_images"])}  # fmt: skip
    for style, (method, accuracy) in zip(("--", ":"), peers.items(), strict=False):
        axes.axhline(accuracy, color="grey", linestyle=style, label=method)
    axes.set(xlabel="minutes of one core, start and tests included", ylabel="accuracy, %", ylim=(0, 100))
    axes.set_title(f"{report['side']}², {report['train_images']} training images, seed {report['seed']}")
    axes.legend(loc="lower right")
    figure.savefig(path)


@click.command()
@click.option("--results", default="docs/results", show_default=True, type=click.Path(path_type=Path))
def main(results: Path) -> None:
    """Prints the table of all runs and published figures."""
    click.echo(table(read_reports(results)))


if __name__ == "__main__":
    main()
