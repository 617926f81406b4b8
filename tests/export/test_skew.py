"""What is trained is what is served: one image, one answer, in every input mode and by records."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.export.pictures import write_pictures
from tests.export.saccaders import RECIPE, adapt, small_saccader
from tests.export.test_saving import stack
from tfvs.client.client import SaccadeClient
from tfvs.client.transport import Arrays, LocalTransport
from tfvs.data.example import ImageRecord, to_example
from tfvs.errors import InputError
from tfvs.export.description import DESCRIPTION_FILE, DESCRIPTION_OUTPUT, ModelDescription
from tfvs.export.pyramid_inputs import pyramid_inputs
from tfvs.export.signatures import ROOTS_FILE, SaccaderSignatures
from tfvs.images.proxy import proxy_from_pyramid
from tfvs.preparation.decode import Decoded, Task, decode
from tfvs.preparation.options import PrepareOptions

# Lossless pyramids: lossy tiles hold other pixels than the file that is sent.
OPTIONS = PrepareOptions(proxy=RECIPE, bands=3, compression="deflate", tile_size=32)
ANSWERS = ("classes", "boxes", "probabilities")


@dataclass(frozen=True)
class Prepared:
    """An image file, its pyramid and its record."""

    path: Path
    pyramid: str
    decoded: Decoded

    @property
    def record(self) -> bytes:
        record = ImageRecord(self.path.name, 0, "", self.decoded.proxy, self.pyramid, self.decoded.index)
        return to_example(record).SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("skew")


@pytest.fixture(scope="module")
def images(folder) -> list[Prepared]:
    (folder / "files").mkdir()
    prepared = []
    for path in write_pictures(folder / "files").values():
        decoded = decode(Task(str(path), None, str(folder / f"pyramids/{path.name}.tif"), OPTIONS, "00"))
        assert isinstance(decoded, Decoded), decoded
        prepared.append(Prepared(path, f"{path.name}.tif", decoded))
    return prepared


@pytest.fixture(scope="module")
def transport(folder, exported) -> LocalTransport:
    return LocalTransport(str(adapt(exported, folder / "model", [folder / "pyramids"])))


@pytest.fixture(scope="module")
def categorical(folder, exported_categorical) -> LocalTransport:
    return LocalTransport(str(adapt(exported_categorical, folder / "categorical", [folder / "pyramids"])))


@pytest.mark.parametrize(("model", "share"), [("transport", 1), ("categorical", 3)], ids=["transport", "categorical"])
def test_every_input_mode_gives_the_same_answer(model, share, images, folder, request):
    transport = request.getfixturevalue(model)
    images = images[::share]
    assert len(images) >= 60 / share
    proxies = [proxy_from_pyramid(folder / "pyramids" / image.pyramid, image.decoded.index, RECIPE) for image in images]
    pyramids = [
        {"proxy": proxy[np.newaxis] / np.float32(255), **pyramid_inputs(image.pyramid, image.decoded.index)}
        for proxy, image in zip(proxies, images, strict=True)
    ]
    records = np.array([image.record for image in images], object)
    encoded = np.array([image.path.read_bytes() for image in images], object)
    answers = {
        "records": transport.call("serving_default", {"examples": records}),
        "predict_pyramids": transport.call("predict_pyramids", stack(pyramids)),
        "predict_images": transport.call("predict_images", {"image_bytes": encoded}),
    }
    client = SaccadeClient(transport, input_mode="crops")
    crops = [client.predict(image.path) for image in images]
    answers["locate + classify_crops"] = {
        "valid": np.array([answer.valid for answer in crops]),
        "reason": np.array([answer.reason.encode() for answer in crops], object),
        "classes": np.array([answer.class_index for answer in crops]),
        "boxes": np.stack([answer.boxes for answer in crops]),
        "probabilities": np.stack([answer.probabilities for answer in crops]),
    }
    first = answers["records"]
    for way, answer in answers.items():
        wrong = {image.path.name: answer["reason"][i] for i, image in enumerate(images) if not answer["valid"][i]}
        assert not wrong, way
        differences = {
            name: np.abs(answer[name].astype(np.float64) - first[name]).reshape(len(images), -1).max(axis=1)
            for name in ANSWERS
        }
        worst = {name: (images[d.argmax()].path.name, float(d.max())) for name, d in differences.items()}
        print(way, worst)
        assert all(difference <= 1e-3 for _, difference in worst.values()), (way, worst)


class Described:
    """A loaded model that describes itself in another way."""

    def __init__(self, transport: LocalTransport, path: Path, **changes: object) -> None:
        self._call, self.input_shapes, self.close = transport.call, transport.input_shapes, transport.close
        asset = (path / "assets" / DESCRIPTION_FILE).read_text()
        self.description = ModelDescription.from_json(asset).replace(**changes)

    def call(self, signature: str, inputs: Arrays) -> Arrays:
        outputs = self._call(signature, inputs)
        if signature == "locate":
            outputs[DESCRIPTION_OUTPUT] = np.array([self.description.to_json().encode()], object)
        return outputs


def test_what_cannot_be_followed_is_refused_with_a_sentence(transport, exported, images):
    changes = {"proxy": {"noise": 5.0}, "max_side_px": 500}
    noisy = Described(transport, exported, **changes)
    files = {name: str(exported / "assets" / name) for name in (ROOTS_FILE, DESCRIPTION_FILE)}
    signatures = SaccaderSignatures(small_saccader(), noisy.description, files)
    answer = signatures.predict_images(tf.constant([images[0].path.read_bytes()]))
    assert not answer["valid"].numpy()[0]
    assert b"noise" in answer["reason"].numpy()[0]
    client = SaccadeClient(noisy, input_mode="crops")
    with pytest.raises(InputError, match="noise"):
        client.predict(images[0].path)
    with Image.open(io.BytesIO(images[0].decoded.proxy)) as proxy:
        given = client.predict(images[0].path, proxy=np.asarray(proxy))
    wanted = SaccadeClient(transport, input_mode="crops").predict(images[0].path)
    np.testing.assert_allclose(given.probabilities, wanted.probabilities, atol=1e-3)
    large = next(image for image in images if image.path.name == "huge.jpg")
    with pytest.raises(InputError, match="at most 500 pixels"):
        client.predict(large.path, proxy=np.zeros(RECIPE.shape, np.uint8))
    scaled = SaccadeClient(Described(transport, exported, conversion=["scale=(0, 4095)"]), input_mode="crops")
    with pytest.raises(InputError, match="scale="):
        scaled.predict(images[0].path)
