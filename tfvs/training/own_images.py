"""Trains a saccader on a prepared data set by a plan, and keeps what a repeated command needs to go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfvs.models.saccader import VariationalSaccader
from tfvs.preparation.prepared import PreparedSet
from tfvs.training.facts import EVAL, TRAIN
from tfvs.training.plan import Plan
from tfvs.training.records import LOGS, fit_records
from tfvs.viz.curves import curves_as_text, learning_curves, read_history
from tfvs.viz.files import write_atomically

TRAININGS = "training"  # below the model's folder, one folder per plan and data
PLAN_FILE, CURVES_FILE, MODEL_FILE, VERSION_FILE = "plan.json", "curves.png", "model.keras", "version.txt"


@dataclass(frozen=True)
class Trained:
    """A model that was trained, or that an earlier command trained.

    Attributes:
      model: The model; None where it was trained and exported before.
      folder: Its plan, checkpoints, logs and curves.
      version: Where it was exported before; None where it was not.
    """

    model: VariationalSaccader | None
    folder: Path
    version: str | None


def fit_plan(
    prepared: PreparedSet, plan: Plan, output: str | os.PathLike[str], *, write: Callable[[str], None]
) -> Trained:
    """Trains by a plan; goes on where the same training was stopped, and does nothing where it was exported.

    Args:
      prepared: The data set.
      plan: The plan.
      output: The model's folder; the training is kept in a folder below ``training``, named by plan and data.
      write: Called with each line of progress.

    Returns:
      What came of it.

    Raises:
      DataError: The data cannot be trained on.
      TrainingError: A term of the loss is no longer finite.
    """
    train_files = prepared.files(TRAIN, plan.proxy)
    eval_files = prepared.files(EVAL, plan.proxy) if EVAL in prepared.splits else []
    key = hashlib.sha256()
    for part in (plan.model.to_json(), plan.train.to_json(), *map(_digest, (*train_files, *eval_files))):
        key.update(part.encode())
    folder = Path(output, TRAININGS, key.hexdigest()[:16])
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PLAN_FILE, json.dumps(plan.to_dict(), indent=2, ensure_ascii=False) + "\n")
    done = folder / VERSION_FILE
    if done.is_file() and Path(output, done.read_text()).is_dir():
        return Trained(None, folder, str(Path(output, done.read_text())))
    bands = 1 if plan.proxy.channels == 1 else 3
    config = plan.model.replace(pyramid_roots=(prepared.pyramids,))

    def make_model(dtype: str | None) -> VariationalSaccader:
        model = VariationalSaccader(config, dtype=dtype)
        model.build({"proxy": (None, *plan.proxy.shape), "image": (None, None, None, config.channels or bands)})
        return model

    model, _ = fit_records(
        make_model,
        train_files,
        eval_files,
        plan.proxy,
        config.num_classes,
        plan.train,
        folder=str(folder),
        write=write,
    )
    curves = read_history(folder / LOGS)
    if curves:
        write_atomically(folder / CURVES_FILE, learning_curves(curves))
        write(curves_as_text([curve for curve in curves if curve.name in ("loss", "accuracy")]))
    model.save(folder / MODEL_FILE)
    return Trained(model, folder, None)


def mark_exported(trained: Trained, version: str | os.PathLike[str]) -> None:
    """Notes that a training was exported, so that the same command does not export it again.

    Args:
      trained: What was trained.
      version: Folder of the export.
    """
    write_atomically(trained.folder / VERSION_FILE, Path(version).name)


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
