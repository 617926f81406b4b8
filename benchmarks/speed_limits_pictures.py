"""A saccade sheet of street photographs: speed limits that were read right, and answers that were wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.speed_limits_data import Prepared
from tfvs.datasets.gtsdb import SPEED_LIMITS
from tfvs.evaluation.answers import Answer, choose, to_saccades
from tfvs.models.saccader import VariationalSaccader
from tfvs.viz.saccade_sheet import write_saccade_sheet

DOTS_PER_INCH = 72  # for a page of the documentation


def write_sheet(model: VariationalSaccader, photographs: Prepared, path: Path, rows: int = 6) -> Path:
    """Draws where a model looked: at limits that it read right in half of the rows, in the others where it was wrong.

    Args:
      model: Trained, with the number of looks wanted.
      photographs: Prepared.
      path: The PNG.
      rows: At most so many photographs.

    Returns:
      The path.
    """
    model = model.adapted(pyramid_roots=photographs.pyramid_roots)
    output = model.predict(photographs.batches(), verbose=0)
    probabilities = np.array(tf.nn.softmax(output.logits))
    records = photographs.records
    evidence, maps = np.array(output.evidence), np.array(output.posterior_map)
    answers = [  # The last batch is padded.
        Answer(record, probabilities[i], output.boxes[i], output.kl[i], None, evidence[i], maps[i])
        for i, record in enumerate(records)
    ]
    limits = [answer for answer in answers if answer.record.label != model.config.none_class or not answer.right]
    right, wrong = choose(limits, rows)
    shown = (right[: max(rows - len(wrong), rows // 2)] + wrong)[:rows]
    return write_saccade_sheet(
        path, to_saccades(shown, photographs.pyramid_roots[0], SPEED_LIMITS), dots_per_inch=DOTS_PER_INCH
    )
