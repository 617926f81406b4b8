"""The command ``tfvs view``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tfvs.cli.extras import need_serving
from tfvs.cli.next_command import say_next


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(exists=True, file_okay=False))
@click.argument("image", type=click.Path())
@click.option("-o", "--output", default="", help="The page to write; IMAGE's name with .html if it is not given.")
@click.option("--geojson", default="", help="Also write the looks as GeoJSON, for QuPath and map programs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def view(model: str, image: str, output: str, geojson: str, as_json: bool) -> None:
    """Classify IMAGE with the exported MODEL and write a page to zoom into it with the places looked at."""
    need_serving()
    from tfvs.client.client import ClientOptions, connect
    from tfvs.errors import ImageError
    from tfvs.preparation import files
    from tfvs.viz import boxes_to_geojson, saccade_from_image, write_geojson, write_viewer

    with files.image_here(image) as path:
        with connect(ClientOptions(model_dir=model)) as client:
            prediction = client.predict(path)
            names = client.description.class_names
        if prediction.probabilities is None or prediction.boxes is None:
            raise ImageError("The model gives no answer for the image", received=f"{image}: {prediction.reason}")
        saccade = saccade_from_image(
            path,
            prediction.boxes,
            prediction.probabilities,
            names,
            kl=prediction.kl,
            entropy=prediction.entropy,
            title=Path(image).name,
            evidence=prediction.evidence,
            posterior_map=prediction.posterior_map,
        )
        page = write_viewer(output or f"{Path(image).stem}.html", path, saccade)
    written = {"page": str(page)}
    if geojson and saccade.image_size is not None:
        collection = boxes_to_geojson(
            prediction.boxes,
            saccade.image_size,
            classification=prediction.label,
            kl=prediction.kl,
            evidence=prediction.evidence,
            class_names=names,
        )
        written["geojson"] = str(write_geojson(geojson, collection))
    if as_json:
        click.echo(json.dumps({"image": image, **prediction.to_dict(), **written}))
        return
    click.echo(f"{image}: {prediction}")
    for name, path in written.items():
        click.echo(f"{name:9s}{path}")
    base = str(Path(model).resolve())
    say_next("tfvs", "serve", "--model_name=model", f"--model_base_path={base}", why="serves it over gRPC and REST")
