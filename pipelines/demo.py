"""The steps of ``make run`` before and after the pipeline: make the data; then serve, ask and draw."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.config import PipelineConfig, load_pipeline
from tfvs.data.records import ImageRecord
from tfvs.datasets.canvases import write_canvases
from tfvs.datasets.starcraft2.battles import BattleConfig
from tfvs.datasets.starcraft2.simulate import write_images
from tfvs.errors import DataError, ResourceError

if TYPE_CHECKING:
    from tfvs.client.client import SaccadeClient

REPOSITORY = Path(__file__).resolve().parent.parent
SHEET_ROWS = 6
START_TIMEOUT_S = 120.0
Write = Callable[[str], None]
_LISTENS = re.compile(r"Running gRPC ModelServer at (?P<address>\S+:\d+)")


def make_data(pipeline: str, runs: Path, digits: str, write: Write) -> Path:
    """Generates a pipeline's canvases or battles, unless they are there already.

    Args:
      pipeline: One of :data:`pipelines.run.GENERATED`.
      runs: Folder below which the data set lies.
      digits: See :func:`tfvs.datasets.digits.load_digits`; battles have none.
      write: Takes progress lines.

    Returns:
      The data set's folder.
    """
    module = importlib.import_module(f"pipelines.{pipeline}")
    folder = runs / "data" / pipeline
    canvases, images = module.CANVASES, sum(module.COUNTS.values())
    if isinstance(canvases, BattleConfig):
        write(f"data set: {images} simulated battles: {folder}")
        write_images(str(folder), canvases, module.COUNTS, overwrite=True)
        return folder
    write(f"data set: {images} canvases, digits from {digits}: {folder}")
    write_canvases(str(folder), canvases.replace(digits=digits), module.COUNTS, overwrite=True)
    return folder


@contextmanager
def served(config: PipelineConfig, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the server with the pushed model on a free port; yields its process while the model still loads."""
    command = [sys.executable, "-m", "tfvs", "serve", "--port=0", f"--model_name={config.name}"]
    command.append(f"--model_base_path={config.serving_root}")
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """``host:port``, read from the line of the log that announces it."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if match := _LISTENS.search(log.read_text()):
            return match.group("address")
        time.sleep(0.2)
    raise ResourceError("The server did not start", received=f"exit code {process.poll()}", mend=f"Its log is {log}")


def show(pipeline: str, environ: Mapping[str, str], write: Write) -> None:
    """Serves the pushed model, classifies test images over gRPC, and draws where the model looked.

    Raises:
      DataError: No model was pushed.
    """
    config = load_pipeline(pipeline, environ)
    if not any(config.serving_root.glob("*/saved_model.pb")):
        raise _not_pushed(config)
    log = config.root / "server.log"
    with served(config, log) as server:
        from pipelines.report import write_config_report

        report = write_config_report(config, shows_viewer=True)  # while the server loads the model
        sheet, page, correct, asked = _ask(config, _address(server, log), write)
    write(f"{correct} of {asked} right")
    write(f"saccade sheet   {sheet}")
    write(f"viewer          {page}")
    write(f"run report      {report}")
    write(f"pushed model    {config.serving_root}")
    write(f"pyramids        {config.pyramid_root}")
    write(f"serve it with   tfvs serve --model_name={config.name} --model_base_path={config.serving_root}")


def _not_pushed(config: PipelineConfig) -> DataError:
    from pipelines.reporting.evaluation import read_evaluation
    from pipelines.reporting.run_record import read_run

    run = read_run(config.metadata_path, config.name)
    blessing, pushed = run.artifact("ModelBlessing"), run.artifact("PushedModel")
    if blessing is not None and blessing.properties.get("blessed") == 1:
        return DataError(
            "The Evaluator blessed the model, but it is not at the place it was pushed to",
            expected=f"a version below {config.serving_root}",
            received=f"pushed to {pushed.properties.get('pushed_destination')}" if pushed else "no pushed model",
            mend="Run the pipeline again: it pushes the model again",
        )
    evaluation = run.artifact("ModelEvaluation")
    failures = read_evaluation(evaluation.uri, config.class_names).failures if evaluation else []
    return DataError(
        "No model was pushed: the Evaluator did not bless it",
        expected="every threshold reached on the split test",
        received="; ".join(failures) or "no evaluation",
        mend=f"Train longer (TFVS_TRAIN), or see {config.root / 'tfx.log'}",
    )


def _proxy_of(record: ImageRecord, client: SaccadeClient) -> np.ndarray | None:
    """The record's proxy where the client cannot make it from the image, such as a minimap."""
    if not client.description.proxy.obstacle():
        return None
    pixels = np.asarray(Image.open(io.BytesIO(record.proxy)))
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _ask(config: PipelineConfig, server: str, write: Write) -> tuple[Path, Path, int, int]:
    import tensorflow as tf

    from pipelines.report import VIEWER
    from pipelines.reporting.run_record import read_run
    from tfvs.client.client import connect
    from tfvs.client.options import ClientOptions
    from tfvs.data.dataset import read_records, split_files
    from tfvs.data.example import from_example
    from tfvs.evaluation.answers import Answer, to_saccades
    from tfvs.viz.saccade_sheet import write_saccade_sheet
    from tfvs.viz.viewer import write_viewer

    examples = read_run(config.metadata_path, config.name).artifact("Examples")
    if examples is None:
        raise DataError("The run has no Examples", received=config.metadata_path)
    records = read_records(split_files(examples.uri, "test")).take(SHEET_ROWS).as_numpy_iterator()
    answers = []
    write(f"asking {server} over gRPC")
    options = ClientOptions(server=server, model_name=config.name, pyramid_root=str(config.pyramid_root))
    with connect(options) as client:
        for record in map(from_example, map(tf.train.Example.FromString, records)):
            answer = client.predict(config.pyramid_root / record.pyramid_uri, proxy=_proxy_of(record, client))
            write(f"  {record.image_id}: {answer}; it is {config.class_names[record.label]}")
            if answer.probabilities is not None:
                fields = (answer.boxes, answer.kl, answer.entropy, answer.evidence, answer.posterior_map)
                answers.append(Answer(record, answer.probabilities, *fields))
    saccades = to_saccades(answers, config.pyramid_root, config.class_names)
    sheet = write_saccade_sheet(config.root / "saccades.png", saccades, heading=config.name)
    first = config.pyramid_root / answers[0].record.pyramid_uri
    page = write_viewer(config.root / VIEWER, first, saccades[0])
    return sheet, page, sum(answer.right for answer in answers), len(answers)
