"""The crop rule that a model was trained with reaches every input mode, the client's own crops included."""

from pathlib import Path

import numpy as np
import pytest

from tests.export.saccaders import export_small, picture, write_image, write_picture_pyramid
from tfvs.client.client import SaccadeClient
from tfvs.client.prediction import Prediction
from tfvs.client.transport import LocalTransport

PICTURE = picture(200, 260, seed=3)
RULE = {"margin_px": 0, "max_level": 0}
# Crops of 4 to 12 pixels with 16 samples: without a margin an enlarged crop loses its border. Crops of eight times that
# size around the same places, all of the image itself: up to 6 pixels per sample.
SCALES = {"min_scale": 0.02, "max_scale": 0.06, "scales": (1.0, 8.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rule")
    write_picture_pyramid(folder / "a.tif", PICTURE)
    write_image(folder / "a.png", PICTURE)
    return folder


@pytest.fixture(scope="module")
def transport(folder: Path) -> LocalTransport:
    return LocalTransport(str(export_small(folder / "model", [folder], **RULE, **SCALES)))


def answer(transport: LocalTransport, folder: Path, mode: str, name: str, **altered: int | None) -> Prediction:
    client = SaccadeClient(transport, input_mode=mode, pyramid_root=str(folder))
    assert {field: getattr(client.description, field) for field in RULE} == RULE
    client._description = client.description.replace(**altered)
    found = client.predict(folder / name)
    assert found.valid, found.reason
    return found


def test_every_input_mode_cuts_the_crops_of_the_models_rule(transport: LocalTransport, folder: Path) -> None:
    expected = answer(transport, folder, "pyramids", "a.tif")
    for mode, name in (("crops", "a.tif"), ("crops", "a.png"), ("images", "a.png")):
        found = answer(transport, folder, mode, name)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-5, err_msg=f"{mode} {name}")
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=2e-4, err_msg=f"{mode} {name}")


@pytest.mark.parametrize("altered", [{"margin_px": 1}, {"max_level": None}], ids=["margin", "level"])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_client_with_another_rule_is_found_out(
    transport: LocalTransport, folder: Path, name: str, altered: dict[str, int | None]
) -> None:
    expected = answer(transport, folder, "crops", name).probabilities
    other = answer(transport, folder, "crops", name, **altered).probabilities
    print(name, altered, np.abs(other - expected).max())
    assert np.abs(other - expected).max() > 1e-3
