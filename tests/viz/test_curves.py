"""Learning curves from the training log."""

import numpy as np
import pytest

from tfvs.errors import DataError
from tfvs.viz import curves as history


def test_history_pairs_training_with_evaluation_and_keeps_the_last_of_a_repeated_epoch():
    rows = [
        {"epoch": "0", "kl": "1", "loss": "4", "accuracy": "0.1", "val_loss": "5"},
        {"epoch": "1", "kl": "2", "loss": "9", "accuracy": "0.2", "val_loss": "9"},
        {"epoch": "1", "kl": "3", "loss": "2", "accuracy": "nan", "val_loss": ""},
    ]
    loss, accuracy, kl = history.curves(rows)
    assert [loss.name, accuracy.name, kl.name] == ["loss", "accuracy", "kl"]
    assert loss.epochs == [1.0, 2.0]
    assert loss.train == [4.0, 2.0]
    assert loss.validation[0] == 5.0
    assert np.isnan(loss.validation[1])
    assert kl.validation is None
    assert history.curves([]) == []


def test_history_that_is_none_is_named(tmp_path):
    assert history.read_history(tmp_path) == []
    (tmp_path / history.HISTORY_FILE).write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no epochs"):
        history.read_history(tmp_path)


def test_curves_as_text_are_a_line_each():
    drawn = history.curves_as_text(
        [
            history.Curve("loss", [1.0, 2.0, 3.0], [4.0, np.nan, 0.0], [1.0, 1.0, 1.0]),
            history.Curve("kl_1", [1.0], [np.nan], None),
        ]
    )
    loss, kl = drawn.splitlines()
    assert "training   █▁  4 → 0" in loss
    assert "evaluation ███  1 → 1" in loss
    assert kl.startswith("kl 1")
    assert "no values" in kl
