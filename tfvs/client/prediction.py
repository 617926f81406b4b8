"""The answer that a client gets for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfvs.client.transport import Arrays


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Attributes:
      valid: Whether the image could be read; where not, the fields below ``reason`` are empty.
      reason: Why not.
      label: Name of the class.
      class_index: Its index, -1 where there is none.
      probabilities: ``[K]`` float32.
      boxes: ``[T, 4]`` float32, ``[y0, x0, y1, x1]`` in [0, 1], where the model looked.
      boxes_px: The same in pixels of the image.
      kl: ``[T]`` float32, nats.
      entropy: Entropy of the probabilities, nats.
      evidence: ``[T, K]`` float32, nats that each look gives for each class; None where the model does not add them up.
      posterior_map: ``[rows, columns]`` float32, the probability of each cell of the proxy's map to be looked at; None
        where the posterior over places is not categorical.
      input_mode: ``"pyramids"``, ``"crops"`` or ``"images"``: what was sent.
    """

    valid: bool
    reason: str = ""
    label: str = ""
    class_index: int = -1
    probabilities: np.ndarray | None = None
    boxes: np.ndarray | None = None
    boxes_px: np.ndarray | None = None
    kl: np.ndarray | None = None
    entropy: float = 0.0
    evidence: np.ndarray | None = None
    posterior_map: np.ndarray | None = None
    input_mode: str = ""

    @classmethod
    def from_outputs(cls, outputs: Arrays, row: int, input_mode: str) -> Prediction:
        """One row of a signature's outputs."""
        return cls(
            valid=bool(outputs["valid"][row]),
            reason=outputs["reason"][row].decode(),
            label=outputs["labels"][row].decode(),
            class_index=int(outputs["classes"][row]),
            probabilities=outputs["probabilities"][row],
            boxes=outputs["boxes"][row],
            boxes_px=outputs["boxes_px"][row],
            kl=outputs["kl"][row],
            entropy=float(outputs["entropy"][row]),
            evidence=outputs["evidence"][row] if "evidence" in outputs else None,
            posterior_map=outputs["posterior_map"][row] if "posterior_map" in outputs else None,
            input_mode=input_mode,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without what the model does not give."""
        if not self.valid:
            return {"valid": False, "reason": self.reason}
        values = {key: value for key in self.__dataclass_fields__ if (value := getattr(self, key)) is not None}
        return {
            key: value.astype(float).round(6).tolist() if isinstance(value, np.ndarray) else value
            for key, value in values.items()
        }

    def __str__(self) -> str:
        if not self.valid or self.probabilities is None or self.boxes_px is None:
            return f"no answer: {self.reason}"
        looks = "; ".join(f"y {y0:.0f}-{y1:.0f} x {x0:.0f}-{x1:.0f}" for y0, x0, y1, x1 in self.boxes_px)
        return f"{self.label} (p = {self.probabilities[self.class_index]:.3f}), looked at {looks}"
