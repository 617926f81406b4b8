"""Configurations that cannot work are named before anything is built."""

import dataclasses

import pytest

from tfvs.errors import ConfigError
from tfvs.models.presets import PRESETS
from tfvs.models.saccader_config import SaccaderConfig

PLACES = {"posterior": "categorical", "cells": (5, 6), "inhibition_cells": 1}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"min_scale": 0.7, "max_scale": 0.5}, "min_scale=0.7, max_scale=0.5"),
        ({"min_scale": 0.0}, "min_scale is out of range. Expected: above 0. Received: 0.0."),
        ({"max_scale": 1.5}, "max_scale is out of range. Expected: above 0, at most 1. Received: 1.5."),
        ({"num_steps": 0}, "num_steps"),
        ({"crop_size": 0}, "crop_size"),
        ({"num_samples": 0}, "num_samples"),
        ({"state": "rnn"}, "'rnn'"),
        ({"likelihood": "poisson"}, "'poisson'"),
        ({"normalization": "weight"}, "'weight'"),
        ({"posterior_stddev": -1.0}, "posterior_stddev"),
        ({"channels": 0}, "channels"),
        ({"crop_filters": ()}, "crop_filters"),
        ({"crop_strides": (2,)}, "crop_strides"),
        ({"kl_weight": -0.1}, "kl_weight"),
        ({"margin_px": -1}, "margin_px"),
        ({"posterior": "uniform"}, "'uniform'"),
        ({"look_pooling": "max"}, "'max'"),
        ({"place_prior": "edges", **PLACES}, "'edges'"),
        ({"place_gradient": "exact"}, "'exact'"),
        ({"look_pooling": "count", "scales": (1.0, 2.0)}, "one scale"),
        ({"look_pooling": "count", "place_gradient": "attention", **PLACES}, "place_gradient"),
        ({"look_pooling": "evidence", "place_gradient": "things", **PLACES}, "place_gradient"),
        ({"scales": ()}, "scales"),
        ({"scales": (1.0, 0.0)}, "scales"),
        ({"map_filters": (8, 8), "map_kernels": (3,)}, "map_filters"),
        ({"none_class": 3}, "none_class"),
        ({**PLACES, "cells": None}, "cells=(rows, columns)"),
        ({**PLACES, "cells": (5, 0)}, "cells is out of range. Expected: at least 1. Received: (5, 0)."),
        ({**PLACES, "latent_size": 4, "attends": False}, "latent_size=3"),
        ({**PLACES, "prior_floor": 0.0}, "prior_floor"),
        ({**PLACES, "prior_power": -1.0}, "prior_power"),
        ({**PLACES, "inhibition_cells": -1}, "inhibition_cells"),
        ({**PLACES, "num_steps": 31, "inhibition_cells": 0}, "at most 30 looks"),
        ({**PLACES, "num_steps": 5, "inhibition_cells": 1}, "at most 4 looks"),
        ({**PLACES, "place_prior": "surprise", "reconstruction_weight": 0.0}, "reconstruction_weight above 0"),
        ({**PLACES, "place_prior": "isolated"}, "thing_scale"),
    ],
)
def test_what_cannot_work(wrong, named):
    with pytest.raises(ConfigError, match="Expected") as error:
        SaccaderConfig(**{"num_classes": 3, **wrong})
    assert named in str(error.value)


def test_the_most_looks_that_leave_a_cell_free():
    assert SaccaderConfig(num_classes=3, **PLACES, num_steps=4).num_steps == 4


def test_cells_finer_than_the_proxy():
    config = SaccaderConfig(num_classes=3, **PLACES)
    config.check_proxy(5, 6)
    with pytest.raises(ConfigError, match="finer than the proxy"):
        config.check_proxy(5, 5)


def test_unknown_key():
    with pytest.raises(ConfigError, match="num_glimpses"):
        SaccaderConfig.from_dict({"num_classes": 3, "num_glimpses": 4})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_json_round_trip(name):
    config = PRESETS[name].replace(num_classes=7, pyramid_roots=("/a", "/b"))
    assert SaccaderConfig.from_json(config.to_json()) == config


def test_every_field_is_described():
    for field in dataclasses.fields(SaccaderConfig):
        assert f"      {field.name}: " in (SaccaderConfig.__doc__ or "").replace("\n    ", "\n      "), field.name
