"""The speed limit in a street scene (GTSDB), with a pretrained network that needs no hub.

    python -m benchmarks.speed_limits --data GTSDB --seed 0 --threads 1
    python -m benchmarks.speed_limits --data GTSDB --seed 0 --test FOLDER        # also tested, on any such folder
    python -m benchmarks.speed_limits --model FOLDER --test FOLDER               # a saved model alone
    python -m benchmarks.speed_limits --model FOLDER --data GTSDB --sheet where.png  # on the validation, with a picture
    python -m benchmarks.speed_limits --data GTSDB --method half --epochs 3      # a network that reads it all

Photographs 0 to 479 are trained on, 480 to 599 are the validation; with ``--fold`` another fifth of the 600 is. Signs
that are pasted come from the boxes of the photographs for training, and while the field of view grows the pasted sign
is in it; the model itself sees proxies, looks and classes. A run that was stopped goes on from its checkpoint. Writes
``speed-limits-<method>-<seed>.json`` to ``--results`` and ``model.keras`` to its folder below ``--runs``; the saccader
whose balanced accuracy on the validation is the best is also in ``best`` there. The last line printed is the JSON.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
import keras

from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.speed_limits_data import (
    TRAIN,
    VALIDATION,
    Folder,
    Prepared,
    list_folder,
    prepare,
)
from benchmarks.speed_limits_evaluation import evaluate_other_looks, evaluate_saccader, evaluate_whole, time_network
from benchmarks.speed_limits_folds import FOLDS, OWN_FOLD
from benchmarks.speed_limits_model import (
    PROXIES,
    SACCADER,
    SACCADERS,
    TRAINING,
    fit_saccader,
    fit_whole,
)
from benchmarks.speed_limits_pictures import write_sheet
from benchmarks.speed_limits_results import PREFIX
from tfvs.errors import TfvsError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.reading import reading_stage
from tfvs.training.strategy import limit_threads
from tfvs.training.trainer import TrainConfig

MODEL, REPORT, BEST = "model.keras", "report.json", "best"


def keep_best(runs: Path, folder: Path, report: dict[str, Any]) -> bool:
    """Copies a run's model to the place of the best, if its validation is better than that of the one there.

    Args:
      runs: Folder of all runs.
      folder: Of this run, with its model.
      report: Of this run, with its validation.

    Returns:
      Whether it was.
    """
    best = runs / BEST
    if (best / REPORT).exists():
        before = json.loads((best / REPORT).read_text())
        if report["validation"]["balanced_accuracy"] <= before["validation"]["balanced_accuracy"]:
            return False
    best.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / MODEL, best / MODEL)
    (best / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    return True


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="GTSDB: gt.txt beside the photographs.")
@click.option("--test", type=click.Path(exists=True, path_type=Path), help="Another such folder, to test on.")
@click.option(
    "--model", "model_path", type=click.Path(exists=True, path_type=Path), help="A run's folder or a .keras file."
)
@click.option("--method", type=click.Choice(list(PROXIES)), default="saccader", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--fold",
    type=click.IntRange(0, FOLDS - 1),
    default=OWN_FOLD,
    show_default=True,
    help="Which fifth is the validation.",
)
@click.option("--epochs", default=TRAINING.epochs, show_default=True, help="Of a saccader: in its second stage.")
@click.option(
    "--reading-epochs",
    default=TRAINING.reading_epochs,
    show_default=True,
    help="Of a saccader's first stage; 0: as many as --epochs.",
)
@click.option("--epoch-steps", default=TRAINING.steps_per_epoch, show_default=True)
@click.option("--batch-size", default=TRAINING.batch_size, show_default=True)
@click.option(
    "--average-weights", type=float, help="Momentum of a moving average of the weights, see TrainConfig; default: none."
)
@click.option(
    "--looks", default=SACCADER.num_steps, show_default=True, help="Looks per photograph when it is evaluated."
)
@click.option("--prepare-only", is_flag=True, help="Writes records and pyramids, and trains nothing.")
@click.option("--sheet", type=click.Path(path_type=Path), help="A saccade sheet of the validation, with --data.")
@click.option("--threads", default=0, show_default=True, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/speed_limits"), show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=Path("docs/results"), show_default=True)
def main(
    data: Path | None,
    test: Path | None,
    model_path: Path | None,
    method: str,
    seed: int,
    fold: int,
    epochs: int,
    reading_epochs: int,
    epoch_steps: int,
    batch_size: int,
    average_weights: float | None,
    looks: int,
    prepare_only: bool,
    sheet: Path | None,
    threads: int,
    runs: Path,
    results: Path,
) -> None:
    """Trains, validates and tests; or tests a saved model."""
    limit_threads(threads)
    report: dict[str, Any] = {
        "method": method,
        "seed": seed,
        "fold": fold,
        "machine": describe_machine(),
        "threads": threads,
    }
    try:
        if model_path is not None:
            if test is None and data is None:
                raise click.UsageError("--model needs --test FOLDER, or --data GTSDB for the validation")
            file = model_path / MODEL if model_path.is_dir() else model_path
            model = keras.saving.load_model(file).adapted(num_steps=looks)
            report["model"] = str(model_path)
            if data is not None:
                _validate(report, model, prepare(data, runs / "data", VALIDATION, _recipe(model, method), fold))
        else:
            if data is None:
                raise click.UsageError("--data GTSDB is needed to train")
            train_config = TRAINING.replace(
                epochs=epochs,
                reading_epochs=reading_epochs,
                steps_per_epoch=epoch_steps,
                batch_size=batch_size,
                average_weights=average_weights,
                seed=seed,
            )
            if prepare_only:
                prepare(data, runs / "data", TRAIN, PROXIES[method], fold)
                return
            model = _train(report, data, runs, train_config, looks)
        if sheet is not None and data is not None and isinstance(model, VariationalSaccader):
            write_sheet(model, prepare(data, runs / "data", VALIDATION, _recipe(model, method), fold), sheet)
        if test is not None:
            report["test"] = _evaluate(model, list_folder(test, _recipe(model, method)))
    except TfvsError as error:
        raise SystemExit(f"error: {error}") from error
    report["peak_memory_mb"] = peak_memory_mb()
    if model_path is None:
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{PREFIX}{_run(report)}.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def _run(report: dict[str, Any]) -> str:
    """Name of a run: its method and seed, and its fold where that is not the data set's own."""
    own = report["fold"] == OWN_FOLD
    return f"{report['method']}-{report['seed']}" + ("" if own else f"-fold-{report['fold']}")


def _train(
    report: dict[str, Any],
    data: Path,
    runs: Path,
    train_config: TrainConfig,
    looks: int,
) -> keras.Model:
    """Trains and validates; what is found goes into the report."""
    method, fold = report["method"], report["fold"]
    folder = runs / _run(report)
    photographs, validation = (
        prepare(data, runs / "data", split, PROXIES[method], fold) for split in (TRAIN, VALIDATION)
    )
    saccades = method in SACCADERS
    model: keras.Model
    if saccades:
        model, minutes = fit_saccader(method, photographs, folder, train_config, validation)
        report["reading_epochs"] = reading_stage(train_config).epochs
        model = model.adapted(num_steps=looks, pyramid_roots=())
        model.save(folder / MODEL)
    else:
        model, minutes = fit_whole(photographs, folder, train_config, validation)
    report |= {"training": train_config.to_dict(), "cpu_minutes": minutes, "parameters": int(model.count_params())}
    _validate(report, model, validation)
    if method == "saccader" and fold == OWN_FOLD:
        keep_best(runs, folder, report)
    return model


def _validate(report: dict[str, Any], model: keras.Model, validation: Prepared) -> None:
    """What is found on the validation goes into the report."""
    report["validation"] = _evaluate(model, validation)
    if report["method"] == "saccader":
        report["same_weights"] = evaluate_other_looks(model, validation)
        report["network_on_whole_photographs"] = time_network(model, validation)


def _recipe(model: keras.Model, method: str) -> ProxyRecipe:
    """The proxies that a trained model reads."""
    if not isinstance(model, VariationalSaccader):
        return PROXIES[method]
    height, width, channels = model.proxy_shape
    return ProxyRecipe(height=height, width=width, channels=channels)


def _evaluate(model: keras.Model, photographs: Prepared | Folder) -> dict[str, Any]:
    return (evaluate_saccader if isinstance(model, VariationalSaccader) else evaluate_whole)(model, photographs)


if __name__ == "__main__":
    main()
