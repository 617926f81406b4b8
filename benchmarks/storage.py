"""What images in object storage cost, by the time that a round trip takes: crops and training beside a local disk.

``python -m benchmarks.storage --work /tmp/storage`` makes an image of 10 000² and images to train on, puts them into a
server that speaks S3 (moto's, or gofakes3, which is quicker, by ``--server``), behind a relay that adds 0, 10 and 50 ms
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

DELAYS_MS = (0, 10, 50)
SIDE = 10_000
TRAINING_SIDE = 2_500
RESULTS = REPOSITORY / "docs" / "results" / "storage.json"
ROUND_TRIPS, SPEED, BYTES = 2, 0.9, 0.01  # bars


def measure(environment: dict[str, str], *arguments: object) -> dict[str, Any]:
    """Runs a measurement in a process of its own, and says what it found."""
    found = child("storage_measure", *arguments, environment=environment)
    click.echo(f"{arguments[0]}: {found}")
    return found


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


def summarize(found: dict[str, Any], file_bytes: int) -> dict[str, Any]:
    """Each bar with what was measured."""
    remote = found["storage"]
    most = max(at["crops"]["round_trips_most"] for at in remote.values())
    local = found["local"]["training"]["first_pass"]["images_per_s"]
    speed = remote["10"]["training"]["first_pass"]["images_per_s"] / local
    share = max(at["crops"]["kb"] for at in remote.values()) * 1e3 / file_bytes
    return {
        "round_trips_per_image": {"measured": most, "bar": f"at most {ROUND_TRIPS}", "met": most <= ROUND_TRIPS},
        "training_at_10_ms": {"measured": round(speed, 3), "bar": f"at least {SPEED}", "met": speed >= SPEED},
        "bytes_of_the_file": {"measured": round(share, 5), "bar": f"at most {BYTES}", "met": share <= BYTES},
    }


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for images, which are kept.")
@click.option("--server", default=None, help="Path of gofakes3; moto's server if it is not given.")
@click.option("--images", default=64, help="Images to train on.")
@click.option("--count", default=20, help="Images asked about.")
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path), help="File for the figures.")
def main(work: Path, server: str | None, images: int, count: int, output: Path) -> None:
    """Measures, writes the figures and prints them."""
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
    found: dict[str, Any] = {
        "machine": describe_machine(),
        "server": "gofakes3" if server else "moto",
        "file_mb": round(large.stat().st_size / 1e6, 1),
        "load": round(os.getloadavg()[0], 1),
        "local": measure(cache, local, large, small, *sizes),
        "storage": {},
    }
    with s3_server(server) as address:
        upload(address, large, [large.name])
        upload(address, small, names)
        for delay in DELAYS_MS:
            log = work / f"requests-{delay}.jsonl"
            log.unlink(missing_ok=True)
            with running_relay(address, log, delay_ms=delay) as relay:
                reach = {**KEYS, "AWS_ENDPOINT_URL": relay.url, **cache}
                root = f"s3://{BUCKET}/images"
                found["storage"][str(delay)] = measure(reach, root, large, small, f"--log={log}", *sizes)
                shutil.rmtree(work / "cache", ignore_errors=True)
    found["bars"] = summarize(found, large.stat().st_size)
    output.write_text(json.dumps(found, indent=1) + "\n")
    click.echo(json.dumps(found["bars"]))


if __name__ == "__main__":
    main()
