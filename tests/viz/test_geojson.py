"""GeoJSON: pixel coordinates as QuPath reads them."""

import json

import numpy as np
import pytest

from tfvs.errors import InputError
from tfvs.viz.geojson import boxes_to_geojson, write_geojson

BOXES = np.array([[0.1, 0.2, 0.3, 0.3], [0.5, 0.0, 0.7, 0.1], [0.0, 0.9, 0.2, 1.0]])


def test_a_rectangle_a_step_in_pixels():
    collection = boxes_to_geojson(BOXES, (1000, 2000), classification="nature", kl=[1.0, 2.0, 3.0])
    rectangles, line = collection["features"][:-1], collection["features"][-1]
    assert collection["type"] == "FeatureCollection"
    for step, (feature, box) in enumerate(zip(rectangles, BOXES, strict=True)):
        (ring,) = feature["geometry"]["coordinates"]
        xy = np.array(ring)
        assert ring[0] == ring[-1]
        np.testing.assert_allclose(xy.min(axis=0), [box[1] * 2000, box[0] * 1000])
        np.testing.assert_allclose(xy.max(axis=0), [box[3] * 2000, box[2] * 1000])
        x, y = xy.T
        assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0  # RFC 7946: the outer ring is counter-clockwise
        assert feature["type"] == "Feature"
        assert feature["properties"]["measurements"] == {"step": step + 1, "KL (nats)": step + 1.0}
        assert feature["properties"]["classification"]["name"] == "nature"
        assert feature["properties"]["objectType"] == "annotation"
    assert line["geometry"]["type"] == "LineString"
    np.testing.assert_allclose(line["geometry"]["coordinates"], [[500, 200], [100, 600], [1900, 100]])


def test_evidence_is_a_measurement_and_names_the_box():
    evidence = np.array([[4.0, 0.0], [0.0, 0.2], [-3.0, 1.0]])
    collection = boxes_to_geojson(BOXES, (100, 100), classification="7", evidence=evidence, class_names=["7", "3"])
    names = [feature["properties"]["name"] for feature in collection["features"]]
    # Less the mean over the two classes.
    assert names == ["step 1: +2.0 nats for 7", "step 2: −0.1 nats for 7", "step 3: −2.0 nats for 7", "path"]
    for feature, row in zip(collection["features"], evidence, strict=False):
        measured = feature["properties"]["measurements"]
        assert [measured[f"evidence for {name} (nats)"] for name in ("7", "3")] == row.tolist()
    with pytest.raises(InputError, match="per look and class"):
        boxes_to_geojson(BOXES, (100, 100), evidence=evidence, class_names=["7"])


def test_one_step_has_no_line_and_class_is_optional():
    (feature,) = boxes_to_geojson(BOXES[:1], (10, 10))["features"]
    assert "classification" not in feature["properties"]
    assert len(boxes_to_geojson(BOXES, (10, 10), path=False)["features"]) == 3


def test_file_is_plain_json(tmp_path):
    collection = boxes_to_geojson(BOXES, (10, 10), classification="Ähre")
    path = write_geojson(tmp_path / "a.geojson", collection)
    assert json.loads(path.read_text(encoding="utf-8")) == collection


@pytest.mark.parametrize(
    ("boxes", "size", "kl", "word"),
    [
        (BOXES[:, :3], (10, 10), None, "shape"),
        (BOXES, (0, 10), None, "no pixels"),
        (BOXES, (10, 10), [1.0], "one value per step"),
        (BOXES[:, ::-1], (10, 10), None, "y0 <= y1"),
    ],
)
def test_bad_input_is_named(boxes, size, kl, word):
    with pytest.raises(InputError, match=word):
        boxes_to_geojson(boxes, size, kl=kl)
