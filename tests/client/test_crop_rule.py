"""The crop rule that a model was trained with reaches every input mode, the client's own crops included."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.saccaders import export_small, picture, write_image, write_picture_pyramid
from tfvs.client.client import SaccadeClient
from tfvs.client.prediction import Prediction
from tfvs.client.transport import LocalTransport

PICTURE = picture(200, 260, seed=3)
RULE = {"margin_px": 0, "max_level": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def transport(root: Path) -> LocalTransport:
    return LocalTransport(str(export_small(root / "model", [root], min_scale=0.02, max_scale=0.06, **RULE)))


@pytest.mark.parametrize(
    ("times", "other"),
    [
        # 4 to 12 pixels are seen with 16 samples: without a margin an enlarged crop loses its border.
        pytest.param(1, {"margin_px": 1}, id="margin"),
        # Level 0 alone is read, with up to 7.5 pixels per sample.
        pytest.param(10, {"max_level": None}, id="level"),
    ],
)
def test_every_input_mode_cuts_the_crops_of_the_models_rule(
    root: Path, transport: LocalTransport, times: int, other: dict[str, Any]
) -> None:
    pixels = np.tile(PICTURE, (times, times, 1))
    pyramid = write_picture_pyramid(root / f"{times}.tif", pixels)
    plain = write_image(root / f"{times}.png", pixels)

    def answer(mode: str, path: Path, altered: dict[str, Any] | None = None) -> Prediction:
        client = SaccadeClient(transport, input_mode=mode, pyramid_root=str(root))
        assert {name: getattr(client.description, name) for name in RULE} == RULE
        if altered:
            client._description = client.description.replace(**altered)
        found = client.predict(path)
        assert found.valid, found.reason
        return found

    expected = answer("pyramids", pyramid)
    for mode, path in (("crops", pyramid), ("crops", plain), ("images", plain)):
        found = answer(mode, path)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-5, err_msg=f"{mode} {path.suffix}")
        np.testing.assert_allclose(
            found.probabilities, expected.probabilities, atol=2e-4, err_msg=f"{mode} {path.suffix}"
        )
    # A client with another rule is found out.
    for path in (pyramid, plain):
        assert np.abs(answer("crops", path, other).probabilities - expected.probabilities).max() > 1e-3
