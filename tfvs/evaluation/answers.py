"""The exported model's answers to evaluation images, and the most telling of them as saccades."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyvips
import tensorflow as tf

from tfvs.data.dataset import read_records
from tfvs.data.example import ImageRecord, from_example
from tfvs.errors import DataError, ImageError
from tfvs.export.description import read_description
from tfvs.export.from_storage import StorageAnswers, are_read_here
from tfvs.export.image_roots import read_image_roots
from tfvs.images.reading import open_image
from tfvs.paths import is_local
from tfvs.preparation import files
from tfvs.viz.from_image import saccade_from_image
from tfvs.viz.saccade import Saccade

BATCH = 16
MAX_STEPS = 16


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said of one image.

    Attributes:
      record: The image's Example.
      probabilities: ``[K]`` float32.
      boxes: ``[T, 4]`` float32, or None for a model that does not look at places.
      kl: ``[T]`` float32, nats, or None.
      entropy: Nats, or None.
      evidence: ``[T, K]`` float32, nats that each look gives for each class, or None.
      posterior_map: ``[rows, columns]`` float32, probability of each cell to be looked at, or None.
    """

    record: ImageRecord
    probabilities: np.ndarray
    boxes: np.ndarray | None
    kl: np.ndarray | None
    entropy: float | None
    evidence: np.ndarray | None = None
    posterior_map: np.ndarray | None = None

    @property
    def right(self) -> bool:
        """Whether the most probable class is the label."""
        return int(np.argmax(self.probabilities)) == self.record.label


def read_answers(model_dir: str | os.PathLike[str], files: Sequence[str], *, limit: int) -> list[Answer]:
    """Asks the exported model's ``serving_default`` about the first ``limit`` labelled images.

    Images that the model cannot read are left out.

    Args:
      model_dir: SavedModel.
      files: TFRecord files of Examples.
      limit: How many images at most.

    Raises:
      DataError: The model has no ``serving_default`` that takes Examples and gives probabilities.
    """
    model = tf.saved_model.load(str(model_dir))
    signature = model.signatures.get("serving_default")
    if signature is None:
        raise DataError("The model has no serving_default", received=sorted(model.signatures), mend="Export it again")
    roots = read_image_roots(model_dir)
    described = read_description(model_dir) if roots else None
    ask: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
    if described is not None and are_read_here(described, roots):
        ask = StorageAnswers(lambda name, inputs: _called(model.signatures[name], inputs), described, roots).answer
    else:
        ask = functools.partial(_called, signature)
    answers: list[Answer] = []
    for batch in read_records(files).take(limit).batch(BATCH).as_numpy_iterator():
        outputs = ask({"examples": batch})
        if "probabilities" not in outputs:
            raise DataError("serving_default gives no probabilities", received=sorted(outputs), mend="Export it again")
        answers += _answers(batch, outputs)
    return answers


def _called(signature: Callable[..., dict[str, tf.Tensor]], inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def _answers(batch: np.ndarray, outputs: dict[str, np.ndarray]) -> Iterator[Answer]:
    for index, serialized in enumerate(batch):
        record = from_example(tf.train.Example.FromString(serialized))
        if record.label < 0 or not outputs.get("valid", np.ones(len(batch), bool))[index]:
            continue
        entropy = float(outputs["entropy"][index]) if "entropy" in outputs else None
        boxes, kl, evidence, posterior_map = (
            outputs[name][index] if name in outputs else None for name in ("boxes", "kl", "evidence", "posterior_map")
        )
        yield Answer(record, outputs["probabilities"][index], boxes, kl, entropy, evidence, posterior_map)


def choose(answers: Sequence[Answer], count: int) -> tuple[list[Answer], list[Answer]]:
    """The surest right answers and the surest wrong ones, of as many classes as there are.

    Args:
      answers: All of them.
      count: How many of each at most.

    Returns:
      Right answers, wrong answers.
    """
    looked = [answer for answer in answers if answer.boxes is not None]
    surest = sorted(looked, key=lambda answer: (-float(answer.probabilities.max()), answer.record.image_id))
    right = [answer for answer in surest if answer.right]
    wrong = [answer for answer in surest if not answer.right]
    return _spread(right, count), _spread(wrong, count)


def _spread(answers: Sequence[Answer], count: int) -> list[Answer]:
    """The first answer of every class before the second of any."""
    seen: dict[int, int] = {}
    turns = []
    for place, answer in enumerate(answers):
        turn = seen.get(answer.record.label, 0)
        seen[answer.record.label] = turn + 1
        turns.append((turn, place))
    chosen = sorted(range(len(answers)), key=turns.__getitem__)[:count]
    return [answers[place] for place in chosen]


def to_saccades(
    answers: Sequence[Answer], pyramid_root: str | os.PathLike[str], class_names: Sequence[str]
) -> list[Saccade]:
    """Reads the pictures of some answers; an image that cannot be read any more is left out.

    Crops are cut from the image's finest level for display, so they may be sharper than what the model read.

    Args:
      answers: With boxes.
      pyramid_root: Folder or URI that ``pyramid/uri`` is relative to; images of a URI are copied here one by one.
      class_names: In the order of the labels.
    """
    saccades = []
    for answer in answers:
        try:
            saccades.append(_saccade(answer, pyramid_root, class_names))
        except (ImageError, pyvips.Error):
            continue
    return saccades


def _saccade(answer: Answer, pyramid_root: str | os.PathLike[str], class_names: Sequence[str]) -> Saccade:
    record = answer.record
    if answer.boxes is None:
        raise ImageError("The model did not say where it looked", received=record.image_id)
    root = os.fspath(pyramid_root)
    with contextlib.ExitStack() as stack:
        if is_local(root):
            image = open_image(record.pyramid_uri, root=root, random_access=True)
        else:
            copy = stack.enter_context(files.image_here(files.join(root, record.pyramid_uri)))
            image = open_image(copy, random_access=True)
        return saccade_from_image(
            image,
            answer.boxes,
            answer.probabilities,
            class_names,
            proxy=tf.io.decode_png(record.proxy).numpy(),
            true=record.label,
            kl=answer.kl,
            entropy=answer.entropy,
            title=record.image_id,
            evidence=answer.evidence,
            posterior_map=answer.posterior_map,
            max_steps=MAX_STEPS,
        )
