"""What images in object storage cost, by the time that a round trip takes: crops and training beside a local disk.

``python -m benchmarks.storage --work /tmp/storage`` makes an image of 10 000² and images to train on, puts them into a
server that speaks S3 (moto's, or one that is quicker by ``--server``), behind a relay that adds 0, 10 and 50 ms
to every round trip, and measures each thing in a process of its own. It writes ``docs/results/storage.json``; the last
line printed is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import describe_machine
from benchmarks.object_server import BUCKET, KEYS, s3_server
from benchmarks.relay import running_relay
from benchmarks.scale import REPOSITORY, child, pyramid

LOCAL = "local"
PLACES = (LOCAL, "0", "10", "50")  # the numbers: milliseconds added to every round trip
SIDE = 10_000
TRAINING_SIDE = 2_500
RESULTS = REPOSITORY / "docs" / "results" / "storage.json"
ROUND_TRIPS, SPEED, BYTES = 2, 0.9, 0.01  # bars


def upload(server: str, local: Path, names: list[str]) -> None:
    """Puts one file under several keys of the bucket."""
    from tfvs.storage.objects import use_storage
    from tfvs.storage.options import StorageOptions

    objects = use_storage(
        StorageOptions(
            s3_endpoint_url=f"http://{server}",
            s3_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            s3_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
    )
    for name in names:
        with local.open("rb") as file:
            objects.put(file, f"s3://{BUCKET}/images/{name}")


def summarize(found: dict[str, Any]) -> dict[str, Any]:
    """Each bar with what was measured."""
    storage = found["storage"]
    # Without a delay, requests that were sent together may end one after the other.
    most = max(at["crops"]["round_trips_most"] for delay, at in storage.items() if delay != "0")
    speed = storage["10"]["training"]["of_local_speed"]
    share = max(at["crops"]["kb"] for at in storage.values()) / 1e3 / found["file_mb"]
    return {
        "round_trips_per_image": {"measured": most, "bar": f"at most {ROUND_TRIPS}", "met": most <= ROUND_TRIPS},
        "training_at_10_ms": {"measured": speed, "bar": f"at least {SPEED}", "met": speed >= SPEED},
        "bytes_of_the_file": {"measured": round(share, 5), "bar": f"at most {BYTES}", "met": share <= BYTES},
    }


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for images, which are kept.")
@click.option("--server", default="moto", help="moto, or the path of gofakes3 or versitygw, which are quicker.")
@click.option("--places", default=",".join(PLACES), help="What to measure; the file's figures of the others stay.")
@click.option("--images", default=96, help="Images to train on.")
@click.option("--count", default=20, help="Images asked about.")
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path), help="File for the figures.")
def main(work: Path, server: str, places: str, images: int, count: int, output: Path) -> None:
    """Measures, writes the figures and prints them."""
    chosen = places.split(",")
    if not set(chosen) <= set(PLACES):
        raise click.BadParameter(f"some of {', '.join(PLACES)}", param_hint="--places")
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    large, small = pyramid(work, SIDE), pyramid(work, TRAINING_SIDE)
    local = work / "images"
    shutil.rmtree(local, ignore_errors=True)
    local.mkdir()
    os.link(large, local / large.name)
    names = [f"{number}.tif" for number in range(images)]
    for name in names:
        os.link(small, local / name)
    cache = {"TFVS_CACHE_FOLDER": str(work / "cache")}
    sizes = f"--count={count}", f"--images={images}"
    kept = json.loads(output.read_text()) if output.exists() and set(chosen) != set(PLACES) else {}
    found: dict[str, Any] = {
        "machine": describe_machine(),
        "server": Path(server).name,
        "file_mb": round(large.stat().st_size / 1e6, 1),
        "load": {**kept.get("load", {}), **dict.fromkeys(chosen, round(os.getloadavg()[0], 1))},
        "local": kept.get("local", {}),
        "storage": kept.get("storage", {}),
    }

    def keep(name: str, figures: dict[str, Any]) -> None:
        """Writes each place's figures when they are there, so that a run that ends early goes on by ``--places``."""
        where = found if name == LOCAL else found["storage"]
        where[name] = figures
        click.echo(f"{name}: {figures}")
        if set(found["storage"]) == set(PLACES) - {LOCAL}:
            found["bars"] = summarize(found)
        output.write_text(json.dumps(found, indent=1) + "\n")

    if LOCAL in chosen:
        keep(LOCAL, child("storage_measure", local, large, small, *sizes, environment=cache))
    delays = [place for place in chosen if place != LOCAL]
    with s3_server(server) as address:
        if delays:
            upload(address, large, [large.name])
            upload(address, small, names)
        for delay in delays:
            log = work / f"requests-{delay}.jsonl"
            log.unlink(missing_ok=True)
            with running_relay(address, log, delay_ms=float(delay)) as relay:
                reach = {**KEYS, "AWS_ENDPOINT_URL": relay.url, **cache}
                root, beside = f"s3://{BUCKET}/images", (f"--local={local}", f"--log={log}")
                keep(delay, child("storage_measure", root, large, small, *beside, *sizes, environment=reach))
                shutil.rmtree(work / "cache", ignore_errors=True)
    click.echo(json.dumps(found.get("bars", {})))


if __name__ == "__main__":
    main()
