"""The page on a million images, from the benchmarks' JSON files and list prices; it measures nothing itself.

python -m benchmarks.scale_page --output docs/scale.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

IMAGES = 1_000_000
IMAGE_MB = 2_000  # a file of 2 GB
EPOCHS = 10
PREPARED_SIDE = 30_000  # the measured pyramid that figures per pixel are taken from
PATCH_PX = 224
WHOLE_SIDE = 10_000  # the largest image whose whole decoding was timed
REQUESTS_PER_IMAGE = 6  # at most: what the tests of object storage allow preparation
TENSORFLOW_THREADS = 2  # cores of the machine that training was timed on

STEPS = 4  # looks of the model of benchmarks.scale_reading
NETWORK_BITS_PER_S = 1e10  # of one machine
FILES = ("scale", "prepare", "patches", "storage")
TEMPLATE = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Prices:
    """List prices in US dollars, each with its date and source.

    Attributes:
      storage_gb_month: One GB for a month.
      get_1000: A thousand requests that read.
      put_1000: A thousand requests that write or list.
      core_hour: One virtual processor for an hour.
    """

    storage_gb_month: float = 0.023
    get_1000: float = 0.0004
    put_1000: float = 0.005
    core_hour: float = 0.0408


@dataclass(frozen=True)
class Step:
    """What one step costs for all images.

    Attributes:
      name: Of the step.
      reads: Requests that read.
      writes: Requests that write or list.
      terabytes: Moved between storage and machines.
      core_hours: Of one core.
    """

    name: str
    reads: float
    writes: float
    terabytes: float
    core_hours: float

    def dollars(self, prices: Prices) -> float:
        """For requests and processors; storage is a cost of its own."""
        requests = self.reads / 1000 * prices.get_1000 + self.writes / 1000 * prices.put_1000
        return requests + self.core_hours * prices.core_hour


def estimate(measured: dict[str, Any]) -> tuple[list[Step], list[Step], dict[str, float]]:
    """Steps of this system, steps of the pipeline that encodes every patch, and figures of one image.

    Args:
      measured: The JSON files of :data:`FILES`, by name.
    """
    scale, prepare, patches = measured["scale"], measured["prepare"], measured["patches"]
    reference = scale["single"][str(PREPARED_SIDE)]
    whole = scale["single"][str(WHOLE_SIDE)]
    megapixels = PREPARED_SIDE**2 / 1e6 * IMAGE_MB / reference["file_mb"]
    grown = megapixels * 1e6 / PREPARED_SIDE**2
    record_mb = reference["index"]["example_kb"] / 1e3 * grown  # the tile index grows with the number of tiles
    seen_mb = reference["kb_read"] / 1e3
    tiles = reference["tiles_read"]
    one = {
        "megapixels": megapixels,
        "side_px": (megapixels * 1e6) ** 0.5,
        "record_mb": record_mb,
        "seen_mb": seen_mb,
        "tiles": tiles,
        "prepare_s": megapixels / prepare["1 worker"]["megapixels_per_s"],
        "train_s": TENSORFLOW_THREADS / scale["training"]["tiles"]["images_per_s"],
        "infer_s": scale["model"][str(PREPARED_SIDE)]["cpu_p50_ms"] / 1e3,
        "patches": megapixels * 1e6 / PATCH_PX**2,
        "decode_s": whole["whole_decode"]["cpu_p50_ms"] / 1e3 * megapixels * 1e6 / WHOLE_SIDE**2,
        "encode_s": megapixels * 1e6 / PATCH_PX**2 * patches["encode_cpu_ms"] / 1e3,
        "patch_train_s": megapixels * 1e6 / PATCH_PX**2 * patches["train_cpu_ms"] / 1e3,
    }

    def hours(seconds: float) -> float:
        return seconds * IMAGES / 3600

    preparation = Step(
        "preparation, once",
        2 * IMAGES,
        (REQUESTS_PER_IMAGE - 2) * IMAGES,
        2 * IMAGE_MB * IMAGES / 1e6,
        hours(one["prepare_s"]),
    )
    ours = [
        preparation,
        Step(
            f"training, {EPOCHS} passes",
            tiles * IMAGES * EPOCHS,
            0,
            (seen_mb + record_mb) * IMAGES * EPOCHS / 1e6,
            hours(one["train_s"]) * EPOCHS,
        ),
        Step("inference, once", tiles * IMAGES, 0, (seen_mb + record_mb) * IMAGES / 1e6, hours(one["infer_s"])),
    ]
    all_tb = IMAGE_MB * IMAGES / 1e6
    theirs = [
        Step(
            "encode every patch, once; train a head on the features",
            IMAGES,
            IMAGES,
            all_tb,
            hours(one["decode_s"] + one["encode_s"]),
        ),
        Step(
            f"train through every patch, {EPOCHS} passes",
            IMAGES * EPOCHS,
            0,
            all_tb * EPOCHS,
            hours(one["decode_s"] + one["patch_train_s"]) * EPOCHS,
        ),
        Step("inference, once", IMAGES, 0, all_tb, hours(one["decode_s"] + one["encode_s"])),
    ]
    return ours, theirs, one


def page(measured: dict[str, Any], prices: Prices) -> str:
    """The page as Markdown."""
    ours, theirs, one = estimate(measured)
    stored_gb = {"the images": IMAGE_MB * IMAGES / 1e3, "records, before gzip": one["record_mb"] * IMAGES / 1e3}
    stored_gb = {"the images": stored_gb["the images"], "pyramids": stored_gb["the images"], **stored_gb}
    rows = "\n".join(
        f"| {name} | {size / 1e3:,.1f} | {size * prices.storage_gb_month:,.0f} |" for name, size in stored_gb.items()
    )
    values: dict[str, Any] = {
        **one,
        "scale": measured["scale"],
        "prepare": measured["prepare"],
        "patch": measured["patches"],
        "storage": measured["storage"],
        "network": _network(measured["storage"]),
        "network_load": max(measured["storage"]["load"].values()),
        "behind_10_ms": measured["storage"]["storage"]["10"],
        "prices": prices,
        "prepared_side": PREPARED_SIDE,
        "whole_side": WHOLE_SIDE,
        "crop_px": measured["scale"]["single"][str(PREPARED_SIDE)]["crop_px"],
        "patch_px": PATCH_PX,
        "threads": TENSORFLOW_THREADS,
        "steps": STEPS,
        "epochs": EPOCHS,
        "requests": REQUESTS_PER_IMAGE,
        "stored": rows,
        "ours": _rows(ours, prices),
        "theirs": _rows(theirs, prices),
        "moved_tb": ours[0].terabytes,
        "moving_hours": ours[0].terabytes * 1e12 * 8 / NETWORK_BITS_PER_S / 3600,
        "training_hours": ours[1].core_hours,
        "inference_hours": ours[2].core_hours,
        "record_share": one["record_mb"] / one["seen_mb"],
        "infer_ms": one["infer_s"] * 1e3,
        "encoding_times": theirs[0].core_hours / (ours[0].core_hours + ours[1].core_hours),
        "answer_times": theirs[2].core_hours / ours[2].core_hours,
    }
    return TEMPLATE.read_text().format(**values)


def _network(storage: dict[str, Any]) -> str:
    """A row per place of the images."""
    local = storage["local"]
    rows = [f"| this disk | – | – | – | {local['crops']['p50_ms']:.0f} | {local['whole']['ms']:,.0f} | 100 |"]
    for delay, at in storage["storage"].items():
        crops, trained = at["crops"], at["training"]
        share = crops["kb"] / 10 / storage["file_mb"]
        trips = crops["round_trips_most"] if delay != "0" else "–"
        rows.append(
            f"| storage, {delay} ms | {crops['requests']} | {trips} | {crops['kb'] / 1e3:.2f} MB, {share:.2f} % |"
            f" {crops['p50_ms']:.0f} | {at['whole']['ms']:,.0f} | {100 * trained['of_local_speed']:.0f} |"
        )
    return "\n".join(rows)


def _rows(steps: list[Step], prices: Prices) -> str:
    return "\n".join(
        f"| {step.name} | {(step.reads + step.writes) / 1e6:,.1f} | {step.terabytes:,.1f} | {step.core_hours:,.0f} |"
        f" {step.dollars(prices):,.0f} |"
        for step in steps
    )


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--results", type=click.Path(exists=True, path_type=Path), default=Path("docs/results"), show_default=True
)
@click.option("--storage-gb-month", type=float, help="US dollars.")
@click.option("--get-1000", type=float, help="US dollars.")
@click.option("--put-1000", type=float, help="US dollars.")
@click.option("--core-hour", type=float, help="US dollars.")
def main(output: Path, results: Path, **given: float | None) -> None:
    """Writes the page."""
    measured = {name: json.loads((results / f"{name}.json").read_text()) for name in FILES}
    prices = replace(Prices(), **{name: value for name, value in given.items() if value is not None})
    output.write_text(page(measured, prices))


if __name__ == "__main__":
    main()
