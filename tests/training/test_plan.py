"""What is chosen for data follows from the data, fits together, and can be set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.training.facts import Facts
from tfvs.training.plan import make_plan


def facts(**changes: Any) -> Facts:
    counts = changes.pop("counts", [100, 100, 100])
    size = changes.pop("size", (2000, 3000))
    known: dict[str, Any] = {
        "class_names": [f"class {number}" for number in range(len(counts))],
        "counts": np.array(counts),
        "unlabelled": 0,
        "eval_images": 40,
        "test_images": 40,
        "sizes": np.array([size] * 5),
        "kinds": [(3, "uint8")],
        "proxy": ProxyRecipe(),
        "proxy_spread": 20.0,
        "object_px": 100.0,
        "memory_bytes": 16_000_000_000,
    }
    return Facts(**{**known, **changes})


def test_a_small_thing_is_looked_for_among_cells_at_its_own_scale() -> None:
    plan = make_plan(facts())
    assert (plan.model.posterior, plan.model.look_pooling) == ("categorical", "evidence")
    assert plan.model.min_scale == plan.model.max_scale == pytest.approx(180 / 2000)
    assert (plan.proxy.height, plan.proxy.width, plan.proxy.channels) == (120, 180, 3)
    assert plan.model.cells == (60, 90)
    assert not plan.warnings


def test_photographs_are_looked_at_where_something_stands_out_on_all_sides() -> None:
    model, grey = make_plan(facts()).model, make_plan(facts(kinds=[(1, "uint8")])).model
    assert (model.place_prior, model.thing_scale, model.num_steps) == ("isolated", pytest.approx(100 / 2000), 4)
    assert (grey.place_prior, grey.num_steps) == ("contrast", 10)


@pytest.mark.parametrize("object_px", [None, 900.0])
def test_a_thing_of_unknown_or_large_size_gets_looks_of_any_size(object_px: float | None) -> None:
    plan = make_plan(facts(object_px=object_px))
    assert plan.model.posterior == "gaussian"
    assert plan.model.min_scale < plan.train.zoom_to <= plan.train.zoom_from == plan.model.max_scale


@pytest.mark.parametrize("size", [(200, 260), (64, 4000), (30_000, 20_000)])
@pytest.mark.parametrize("object_px", [None, 6.0, 25.0])
@pytest.mark.parametrize("counts", [[3, 3], [9, 200, 50]])
def test_what_is_chosen_fits_together_for_all_data(
    size: tuple[int, int], object_px: float | None, counts: list[int]
) -> None:
    for pretrained in (False, True):
        plan = make_plan(facts(size=size, object_px=object_px, counts=counts), pretrained=pretrained)
        assert plan.train.batch_size <= sum(counts)
        assert min(plan.proxy.height, plan.proxy.width) >= 16
        assert all(choice.why for choice in plan.choices)


def test_photographs_get_a_pretrained_network_where_it_is_installed() -> None:
    assert make_plan(facts(has_imagenet=True)).model.crop_encoder is not None
    without = make_plan(facts())
    assert without.model.crop_encoder is None
    assert any("tfvs[imagenet]" in choice.why for choice in without.choices)
    assert make_plan(facts(has_imagenet=True, kinds=[(1, "uint8")])).model.crop_encoder is None
    assert make_plan(facts(has_imagenet=True), pretrained=False).model.crop_encoder is None


def test_little_memory_makes_small_batches_and_many_images_long_trainings() -> None:
    usual = make_plan(facts()).train
    poor = make_plan(facts(memory_bytes=400_000_000)).train
    assert poor.batch_size < usual.batch_size == 32
    rich = make_plan(facts(counts=[20_000, 20_000])).train
    assert rich.epochs * rich.steps_per_epoch * rich.batch_size >= 6 * 40_000


def test_unequal_classes_are_weighted() -> None:
    assert not make_plan(facts(counts=[100, 130])).train.balance_classes
    assert make_plan(facts(counts=[100, 300])).train.balance_classes


def test_data_that_teach_little_are_warned_of() -> None:
    def said(**changes: Any) -> str:
        return " ".join(make_plan(facts(**changes)).warnings)

    assert "class 1 (3)" in said(counts=[80, 3])
    assert "All proxies are alike" in said(proxy_spread=0.2)
    assert "in the proxy" in said(object_px=8.0, size=(20_000, 30_000))
    assert "no split eval" in said(eval_images=0)
    assert "no split test" in said(test_images=0)


def test_fields_can_be_set_and_wrong_ones_are_named() -> None:
    plan = make_plan(facts(), {"train.epochs": 2, "model.num_steps": 6, "proxy.width": 160})
    assert (plan.train.epochs, plan.model.num_steps, plan.proxy.width) == (2, 6, 160)
    assert [choice.why for choice in plan.choices[-3:]] == ["given"] * 3
    for name in ("epochs", "other.epochs", "train.", "train.epoch"):
        with pytest.raises(ConfigError):
            make_plan(facts(), {name: 2})
    with pytest.raises(ConfigError, match="cells"):
        make_plan(facts(), {"proxy.height": 16})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": [(1, "uint8"), (3, "uint8")]}, "--bands"),
        ({"unlabelled": 4}, "no label"),
        ({"counts": [50, 0]}, "fewer than two classes"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_plan(facts(**changes))


def test_proxies_of_another_modality_stay_as_they_are() -> None:
    minimap = ProxyRecipe(height=64, width=64, source="other_image")
    assert make_plan(facts(proxy=minimap, object_px=None)).proxy == minimap
    with pytest.raises(ConfigError, match="other images"):
        make_plan(facts(proxy=minimap), {"proxy.height": 32})
