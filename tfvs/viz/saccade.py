"""What is shown of one image: where the model looked, what it saw there and what it made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfvs.errors import InputError


@dataclass(frozen=True, eq=False)
class Saccade:
    """One image and the model's answer, ready to be drawn.

    Attributes:
      overview: ``[h, w, c]`` or ``[h, w]``, uint8 in [0, 255] or float in [0, 1]; c is 1 or 3. About 1000 pixels on the
        longer side are enough.
      proxy: ``[h, w, c]`` or ``[h, w]``, what the recurrent model read; it may be another modality than the image.
      boxes: ``[T, 4]`` float ``[y0, x0, y1, x1]`` in [0, 1], in the order of the steps.
      crops: ``[T, S, S, C]`` float in [0, 1] or uint8, what the classifier read.
      probabilities: ``[K]`` float in [0, 1].
      class_names: K names.
      predicted: The predicted class, an index; the most probable one if left out.
      true: The true class, an index; None where it is unknown.
      kl: ``[T]`` float, nats; the divergence of the posterior from the prior at each step.
      entropy: Entropy of the averaged probabilities, nats; for several sampled trajectories.
      title: What the picture is called, for example the image's id.
      image_size: Height and width of the image itself, pixels.
      evidence: ``[T, K]`` float, nats that each look gives for each class, where the model adds them up.
      posterior_map: ``[rows, columns]`` float, the probability of each cell of the proxy's map to be looked at.

    Raises:
      InputError: Shapes that do not belong together, or pixels of an unknown kind.
    """

    overview: np.ndarray
    proxy: np.ndarray
    boxes: np.ndarray
    crops: np.ndarray
    probabilities: np.ndarray
    class_names: Sequence[str]
    predicted: int | None = None
    true: int | None = None
    kl: np.ndarray | None = None
    entropy: float | None = None
    title: str = ""
    image_size: tuple[int, int] | None = None
    evidence: np.ndarray | None = None
    posterior_map: np.ndarray | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "overview", to_rgb(self.overview, "overview"))
        set_field(self, "proxy", to_rgb(self.proxy, "proxy"))
        set_field(self, "boxes", as_boxes(self.boxes))
        crops = np.asarray(self.crops)
        if crops.ndim != 4 or len(crops) != self.num_steps:
            raise InputError(
                "A saccade has one crop per box", expected=f"crops [{self.num_steps}, S, S, C]", received=crops.shape
            )
        set_field(self, "crops", np.stack([to_rgb(crop, "crops") for crop in crops]))
        probabilities = np.asarray(self.probabilities, np.float64)
        names = tuple(str(name) for name in self.class_names)
        if probabilities.ndim != 1 or len(probabilities) != len(names) or not names:
            raise InputError(
                "A saccade has one probability per class", expected=f"[{len(names)}]", received=probabilities.shape
            )
        if not np.all((probabilities >= 0.0) & (probabilities <= 1.0 + 1e-3)):  # not-a-number fails here too
            raise InputError(
                "These are no probabilities", expected="values in [0, 1]", received=probabilities, mend="Apply softmax"
            )
        set_field(self, "probabilities", probabilities)
        set_field(self, "class_names", names)
        if self.predicted is None:
            set_field(self, "predicted", int(np.argmax(probabilities)))
        for field in ("predicted", "true"):
            index = getattr(self, field)
            if index is not None and not 0 <= index < len(names):
                raise InputError(f"{field} is no class index", expected=f"0 to {len(names) - 1}", received=index)
        if self.kl is not None:
            kl = np.asarray(self.kl, np.float64)
            if kl.shape != (self.num_steps,):
                raise InputError("kl has one value per step", expected=f"[{self.num_steps}]", received=kl.shape)
            set_field(self, "kl", kl)
        if self.evidence is not None:
            set_field(self, "evidence", as_evidence(self.evidence, self.num_steps, len(names)))
        if self.posterior_map is not None:
            set_field(self, "posterior_map", as_posterior_map(self.posterior_map))

    @property
    def num_steps(self) -> int:
        """T, the number of places looked at."""
        return len(self.boxes)

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the true class; None where that is unknown."""
        return None if self.true is None else self.predicted == self.true

    def evidence_words(self, step: int) -> str:
        """What a look says of the predicted class, as ``"+4.1 nats for 7"``; empty where there is no evidence."""
        if self.evidence is None or self.predicted is None:
            return ""
        return evidence_words(self.evidence[step], self.class_names, self.predicted)

    def top_classes(self, count: int) -> list[int]:
        """The classes worth showing, most probable first: the top ones, with the predicted and the true class kept.

        Args:
          count: How many at most.
        """
        order = [int(index) for index in np.argsort(-self.probabilities, kind="stable")]
        wanted = [index for index in (self.predicted, self.true) if index is not None]
        shown = list(dict.fromkeys(wanted))[:count]
        shown += [index for index in order if index not in shown][: max(count - len(shown), 0)]
        return sorted(shown, key=order.index)


def evidence_words(evidence: np.ndarray, class_names: Sequence[str], index: int) -> str:
    """The evidence of one look for one class, in words.

    A number added to the evidence for every class changes no probability, so the mean over the classes is taken off.

    Args:
      evidence: ``[K]`` float, nats.
      class_names: K names.
      index: Index of the class.

    >>> evidence_words(np.array([5.0, 0.0, -0.5]), ["7", "3", "0"], 0)
    '+3.5 nats for 7'
    >>> evidence_words(np.array([-2.0, 0.0, 2.0]), ["7", "3", "0"], 0)
    '−2.0 nats for 7'
    """
    nats = float(evidence[index] - np.mean(evidence))
    sign = "+" if nats >= 0.0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(nats):.1f} nats for {class_names[index]}"


def as_evidence(evidence: np.ndarray, steps: int, classes: int) -> np.ndarray:
    """Checks evidence ``[T, K]`` and returns it as float64.

    Raises:
      InputError: Another shape, or values that are not finite.
    """
    array = np.asarray(evidence, np.float64)
    if array.shape != (steps, classes) or not np.all(np.isfinite(array)):
        raise InputError(
            "Evidence has one finite number per look and class", expected=f"[{steps}, {classes}]", received=array.shape
        )
    return array


def as_posterior_map(posterior_map: np.ndarray) -> np.ndarray:
    """Checks probabilities of cells ``[rows, columns]`` and returns them as float64.

    Raises:
      InputError: Another shape, or values that are negative or not finite.
    """
    array = np.asarray(posterior_map, np.float64)
    if array.ndim != 2 or 0 in array.shape or not np.all(np.isfinite(array)) or array.min() < 0.0:
        raise InputError(
            "The posterior map holds no probabilities of cells",
            expected="[rows, columns], finite, at least 0",
            received=array.shape,
        )
    return array


def as_boxes(boxes: np.ndarray) -> np.ndarray:
    """Checks boxes ``[T, 4]`` and returns them as float64.

    Raises:
      InputError: Another shape, values that are not finite, or a box whose end lies before its beginning.
    """
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4 or not len(array):
        raise InputError("Boxes have another shape", expected="[T, 4] with T of at least 1", received=array.shape)
    if not np.all(np.isfinite(array)) or np.any(array[:, 2:] < array[:, :2]):
        raise InputError(
            "Boxes are not of the form [y0, x0, y1, x1]",
            expected="finite, y0 <= y1, x0 <= x1",
            received=array.tolist(),
        )
    return array


def to_rgb(pixels: np.ndarray, name: str = "pixels") -> np.ndarray:
    """An image as ``[h, w, 3]`` uint8.

    Args:
      pixels: ``[h, w]``, ``[h, w, 1]`` or ``[h, w, 3]``; uint8 in [0, 255], uint16 in [0, 65535] or float in [0, 1]
        (values outside are clipped).
      name: What the error calls it.

    Raises:
      InputError: Another shape or dtype.
    """
    array = np.asarray(pixels)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise InputError(f"{name} is no image", expected="[h, w], [h, w, 1] or [h, w, 3]", received=array.shape)
    if np.issubdtype(array.dtype, np.floating):
        array = np.round(np.clip(np.nan_to_num(array), 0.0, 1.0) * 255.0).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = np.round(array / 257.0).astype(np.uint8)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise InputError(f"{name} has another dtype", expected="uint8, uint16, bool or float", received=array.dtype)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array
