"""Answers of an exported model about images in object storage, whose tiles are all asked for at once and kept here.

The graph of an export reads with stock operations, tile by tile, which costs a round trip for each and knows no
``s3://``. Here its signatures ``locate`` and ``classify_crops`` are asked instead, and the crops are cut between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.export.description import ModelDescription
from tfvs.export.guarded import decode_png_of_size
from tfvs.export.reasons import NO_PYRAMID, NOT_AN_EXAMPLE, NOT_FINITE_CROPS
from tfvs.images.crops.reader import TileCrops, read_crops
from tfvs.images.crops.remote import are_remote, told_plainly

EXAMPLES, PATH = "examples", "path"
Arrays = dict[str, np.ndarray]


def are_read_here(description: ModelDescription, roots: Sequence[str]) -> bool:
    """Whether a model's images lie in object storage and are read by :class:`StorageAnswers`.

    Trajectories that are drawn anew by each signature cannot be looked along from outside the graph.
    """
    return are_remote(roots) and description.num_samples == 1


class StorageAnswers:
    """Answers ``serving_default`` and ``predict_pyramids`` for images in object storage and on this machine.

    Args:
      call: Runs a signature of the model: its name and inputs to its outputs.
      description: Description of the model.
      roots: Folders and URIs that images may lie under; the first completes relative paths.
    """

    def __init__(
        self, call: Callable[[str, Arrays], Arrays], description: ModelDescription, roots: Sequence[str]
    ) -> None:
        self._call, self._spec, self._roots = call, description, tuple(roots)
        fields = {contract.PYRAMID_URI: tf.TensorSpec([None], tf.string)}
        for field in contract.INDEX_FIELDS:
            kind = tf.string if field.is_string else tf.int64
            fields[field.feature] = tf.TensorSpec([None, None] if field.is_list else [None], kind)
        # Traced here, once, rather than by the first request.
        self._read = tf.function(self._read_crops, autograph=False).get_concrete_function(
            fields, tf.TensorSpec([None, None, 4], tf.float32)
        )

    def answer(self, inputs: Arrays) -> Arrays:
        """The outputs that the signature with these inputs has.

        Args:
          inputs: ``examples``; or ``proxy``, ``path`` and the fields of the tile index.

        Raises:
          ResourceError: The storage refuses, whatever the image, or tiles cannot be kept here.
        """
        if EXAMPLES in inputs:
            proxy, features, parsed = self._parse([tf.compat.as_bytes(item) for item in inputs[EXAMPLES].ravel()])
        else:
            proxy, parsed = inputs["proxy"], np.ones(len(inputs[PATH]), bool)
            features = {contract.PYRAMID_URI: tf.constant(inputs[PATH], tf.string)}
            features |= {field.feature: tf.constant(inputs[field.name]) for field in contract.INDEX_FIELDS}
        size = np.stack([features[contract.HEIGHT].numpy(), features[contract.WIDTH].numpy()], axis=-1)
        sound = parsed & (size > 0).all(axis=1)
        located = {"proxy": proxy, "image_size": np.where(sound[:, np.newaxis], size, 1).astype(np.int32)}
        boxes = self._call("locate", located)["boxes"]
        with told_plainly():
            read = self._read({name: features[name] for name in contract.PYRAMID_FEATURES}, tf.constant(boxes))
        readable = read.valid.numpy() & sound
        crops = read.crops.numpy()
        crops[~readable] = np.nan  # what is not finite, the signature refuses
        outputs = dict(self._call("classify_crops", {**located, "crops": crops}))
        why = np.where(parsed, NO_PYRAMID, NOT_AN_EXAMPLE)
        known = np.array([tf.compat.as_text(reason) for reason in outputs["reason"]], object)
        unread = ~readable & (known == NOT_FINITE_CROPS)
        outputs["reason"] = np.array([text.encode() for text in np.where(unread, why, known)], object)
        outputs["tiles_read"] = read.tiles_read.numpy()
        return outputs

    def _read_crops(self, features: dict[str, tf.Tensor], boxes: tf.Tensor) -> TileCrops:
        spec = self._spec
        return read_crops(
            features,
            boxes,
            spec.crop_size,
            roots=self._roots,
            bands=spec.bands,
            margin_px=spec.margin_px,
            max_level=spec.max_level,
        )

    def _parse(self, records: list[bytes]) -> tuple[np.ndarray, dict[str, tf.Tensor], np.ndarray]:
        """Proxies ``[B, h, w, c]``, features, and which records are Examples with a proxy of the model's size."""
        shape = self._spec.proxy.shape
        proxies, parsed = np.zeros((len(records), *shape), np.float32), np.zeros(len(records), bool)
        for number, record in enumerate(records):
            try:
                encoded = contract.parse_examples(tf.constant([record]), with_label=False)[contract.PROXY][0]
                proxies[number] = decode_png_of_size(encoded, shape).numpy() / np.float32(255)
                parsed[number] = True
            except tf.errors.OpError:
                records[number] = b""
        features: dict[str, Any] = contract.parse_examples(tf.constant(records), with_label=False)
        return proxies, features, parsed
