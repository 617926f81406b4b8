"""What the stages are; how they train is tested with the pipeline that uses them."""

import pytest

from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.presets import PRESETS
from tfvs.training.stages import TRAINING_LOOKS, fit_stages, read_then_look
from tfvs.training.trainer import TrainConfig

STREET = PRESETS["street_photographs"]
TRAINING = TrainConfig(epochs=6, batch_size=24, group_rates={"classifier": 0.5}, average_weights=0.9)


def test_first_what_reads_then_where_to_look() -> None:
    read, look = read_then_look(STREET, TRAINING)
    assert (read.train.batch_size, read.train.group_rates, read.train.average_weights) == (48, {}, None)
    assert read.model == {"num_steps": 1, "looks_from_prior": True, "scales": (1.0,)}
    assert {read.field.side(step) for step in (0, 300, 600)} == {3}
    assert not read.field.is_full(600)
    assert look.train == TRAINING
    assert look.model == {"num_steps": TRAINING_LOOKS}
    assert [look.field.side(step) for step in (0, 37, 600)] == [9, 9, 85]
    assert look.field.is_full(240)
    assert (look.steps_per_epoch, TRAINING.epochs * look.steps_per_epoch) == (100, 600)
    assert (read.train.epochs, read_then_look(STREET, TRAINING.replace(reading_epochs=9))[0].train.epochs) == (6, 9)


def test_looks_of_two_scales_are_fewer_and_read_with_the_first() -> None:
    read, look = read_then_look(STREET.replace(scales=(1.0, 2.0)), TRAINING)
    assert read.model["scales"] == (1.0,)
    assert look.model == {"num_steps": 4}


def test_a_map_smaller_than_the_fields() -> None:
    read, look = read_then_look(STREET.replace(cells=(2, 1), num_steps=1), TRAINING)
    assert (read.field.side(0), look.field.side(0)) == (2, 2)


def test_no_stages() -> None:
    with pytest.raises(ConfigError, match="cells"):
        read_then_look(PRESETS["cpu"], TRAINING)
    with pytest.raises(ConfigError, match="nothing to train"):
        fit_stages(STREET, [], files=[], proxy=ProxyRecipe(height=200, width=340, channels=3))
