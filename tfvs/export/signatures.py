"""The signatures of an exported saccader: one TensorFlow graph each, of stock operations alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from tfvs.data import example as contract
from tfvs.export.description import DESCRIPTION_OUTPUT, IMAGES_WITH_PROXIES, ModelDescription
from tfvs.export.encoded_images import decode_normalized, read_facts, upright_size
from tfvs.export.guarded import JPEG, OTHER, decode_png_of_size, guarded_map, image_header
from tfvs.export.image_roots import ROOTS_FILE, image_roots_in_graph
from tfvs.export.reasons import (
    NO_IMAGE,
    NO_PYRAMID,
    NO_SIZE,
    NOT_AN_EXAMPLE,
    NOT_FINITE_ANSWER,
    NOT_FINITE_CROPS,
    NOT_FINITE_PROXY,
    PROFILED,
    TOO_LARGE,
    TOO_LONG,
    TOO_MANY_SCANS,
)
from tfvs.images.crops.reader import TileCrops
from tfvs.images.proxy import make_proxy_in_graph
from tfvs.models.saccader import VariationalSaccader
from tfvs.ops import boxes as box_ops
from tfvs.ops.jpeg_markers import MAX_SCANS, count_scans
from tfvs.ops.validity import where_valid

Outputs = dict[str, tf.Tensor]

READ_PIXELS_AT_ONCE = 2**19  # larger images are decoded a second time rather than kept while the batch is located


class SaccaderSignatures(tf.Module):
    """Holds the model's variables, its assets, and the five signatures; a sixth where images alone give no proxies.

    Every signature is batch-first and gives an image that cannot be answered ``valid`` False with a ``reason``, zero
    probabilities and class -1, without failing the others.

    Args:
      model: Built and trained.
      description: Description of the model.
      files: Name → path of the files that become assets; ``image_roots.txt``, one allowed folder per line, is read at
        every request.
    """

    def __init__(self, model: VariationalSaccader, description: ModelDescription, files: dict[str, str]) -> None:
        super().__init__()
        self._spec, self._config = description, model.config
        # Traced once, called by every signature that needs them. The model's own layers cut the crops, whatever they
        # have been replaced by.
        self._locate = tf.function(_locate(model), reduce_retracing=True, autograph=False)
        self._classify = tf.function(_answers(model), reduce_retracing=True, autograph=False)
        self._crop_tiles = tf.function(_crop_tiles(model, description.bands), reduce_retracing=True, autograph=False)
        self._crop_image = lambda image, boxes: model.dense_transformer(image, boxes)
        self.model_variables = [variable.value for variable in model.variables]
        self.files = {name: tf.saved_model.Asset(path) for name, path in files.items()}

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """Signature name → function with its input signature."""
        spec, config = self._spec, self._config
        proxy = tf.TensorSpec([None, *spec.proxy.shape], tf.float32, "proxy")
        size = tf.TensorSpec([None, 2], tf.int32, "image_size")
        crop_shape = [None, config.crops_per_image, config.crop_size, config.crop_size, spec.bands]
        pyramid = [
            proxy,
            tf.TensorSpec([None], tf.string, "path"),
            *(
                tf.TensorSpec(
                    [None, None] if field.is_list else [None], tf.string if field.is_string else tf.int64, field.name
                )
                for field in contract.INDEX_FIELDS
            ),
        ]
        encoded = tf.TensorSpec([None], tf.string, "image_bytes")
        crops = tf.TensorSpec(crop_shape, tf.float32, "crops")
        inputs = {
            "serving_default": (self.serving_default, [tf.TensorSpec([None], tf.string, "examples")]),
            "predict_pyramids": (self.predict_pyramids, pyramid),
            "predict_images": (self.predict_images, [encoded]),
            "locate": (self.locate, [proxy, size]),
            "classify_crops": (self.classify_crops, [proxy, size, crops]),
        }
        if spec.proxy.obstacle():
            inputs[IMAGES_WITH_PROXIES] = (self.predict_images_with_proxies, [proxy, encoded])
        return {
            name: tf.function(method, input_signature=specs, autograph=False)
            for name, (method, specs) in inputs.items()
        }

    def serving_default(self, examples: tf.Tensor) -> Outputs:
        """Serialized Examples of :mod:`tfvs.data.example`; tiles are read under the image roots."""
        self._check_batch(examples, self._spec.max_batch)
        shape = self._spec.proxy.shape

        def parse_one(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parsed = contract.parse_examples(serialized[tf.newaxis], with_label=False)
            pixels = decode_png_of_size(parsed[contract.PROXY][0], shape)
            return serialized, tf.cast(pixels, tf.float32) / 255.0

        (records, proxy), parsed = guarded_map(parse_one, (examples,), (tf.constant(b""), tf.zeros(shape)))
        features = contract.parse_examples(records, with_label=False)
        return self._from_pyramids(proxy, features, tf.where(parsed, "", NOT_AN_EXAMPLE))

    def predict_pyramids(self, proxy: tf.Tensor, path: tf.Tensor, *index: tf.Tensor) -> Outputs:
        """Classifies pyramids that the server can reach, by path and tile index; only tiles looked at are read."""
        self._check_batch(proxy, self._spec.max_batch)
        fields = zip(contract.INDEX_FIELDS, index, strict=True)
        features = {contract.PYRAMID_URI: path, **{field.feature: value for field, value in fields}}
        return self._from_pyramids(proxy, features, tf.fill(tf.shape(path), ""))

    def predict_images(self, image_bytes: tf.Tensor) -> Outputs:
        """Classifies whole JPEG or PNG files that are small enough to send."""
        return self._from_images(image_bytes, None)

    def predict_images_with_proxies(self, proxy: tf.Tensor, image_bytes: tf.Tensor) -> Outputs:
        """Does what :meth:`predict_images` does, with proxies that cannot be made from the images."""
        return self._from_images(image_bytes, proxy)

    def _from_images(self, image_bytes: tf.Tensor, given: tf.Tensor | None) -> Outputs:
        spec = self._spec
        obstacle = spec.obstacle(proxy_given=given is not None)
        self._check_batch(image_bytes, spec.max_images)
        proxy_shape = spec.proxy.shape

        def refused(why: str, size: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return tf.constant(why), size, tf.zeros(proxy_shape), tf.constant(b"")

        def read_one(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
            kind, size, deep = image_header(encoded)
            pixels = tf.reduce_prod(size)
            scans = tf.cond(tf.equal(kind, JPEG), lambda: count_scans(encoded), lambda: 0)
            longest = spec.max_side_px or spec.max_image_px

            def read() -> tuple[tf.Tensor, ...]:
                facts = read_facts(encoded, kind)

                def decode() -> tuple[tf.Tensor, ...]:
                    image, top = decode_normalized(encoded, kind, deep, facts, spec.bands, spec.dtype)
                    keep = pixels <= READ_PIXELS_AT_ONCE
                    kept = tf.cond(keep, lambda: tf.io.serialize_tensor(image), lambda: tf.constant(b""))
                    made = tf.zeros(proxy_shape)
                    if given is None:
                        made = make_proxy_in_graph(image, spec.proxy, levels=top)
                    return tf.constant(""), upright_size(size, facts), made, kept

                return tf.cond(facts.profiled, lambda: refused(PROFILED, size), decode)

            if obstacle:
                return refused(obstacle, size)
            cases = [
                (tf.equal(kind, OTHER), lambda: refused(NO_IMAGE, size)),
                (scans > MAX_SCANS, lambda: refused(TOO_MANY_SCANS, size)),
                ((pixels > spec.max_image_px) | (pixels < 1), lambda: refused(TOO_LARGE, size)),
                (tf.reduce_max(size) > longest, lambda: refused(TOO_LONG.format(longest), size)),
            ]
            return tf.case(cases, default=read)

        placeholder = (tf.constant(NO_IMAGE), tf.zeros([2], tf.int64), tf.zeros(proxy_shape), tf.constant(b""))
        (reason, size, proxy, kept), _ = guarded_map(read_one, (image_bytes,), placeholder)
        if given is not None:
            proxy, finite = _without_not_finite(given)
            reason = tf.where(tf.equal(reason, "") & ~finite, NOT_FINITE_PROXY, reason)
        valid = tf.equal(reason, "")
        size = _safe_size(size, valid)
        look = self._look(proxy, size)
        crop_shape = [look.boxes.shape[1], self._config.crop_size, self._config.crop_size, spec.bands]

        def cut_one(element: tuple[tf.Tensor, ...]) -> tf.Tensor:
            encoded, pixels, ok, boxes = element

            def again() -> tf.Tensor:
                kind, _, deep = image_header(encoded)
                facts = read_facts(encoded, kind)
                return decode_normalized(encoded, kind, deep, facts, spec.bands, spec.dtype)[0]

            def cut() -> tf.Tensor:
                image = tf.cond(tf.equal(pixels, b""), again, lambda: tf.io.parse_tensor(pixels, tf.float32))
                dense = tf.ensure_shape(image, [None, None, spec.bands])[tf.newaxis]

                def crops_of(dtype: tf.DType) -> tf.Tensor:
                    whole = tf.cast(tf.round(dense * float(dtype.max)), dtype)
                    return self._crop_image(whole, boxes[tf.newaxis])

                # As integers, so that coarser levels are rounded as those of the records' pyramids are.
                if spec.dtype is None:
                    deep = image_header(encoded)[2]
                    crops = tf.cond(deep, lambda: crops_of(tf.uint16), lambda: crops_of(tf.uint8))
                else:
                    crops = crops_of(tf.as_dtype(spec.dtype))
                return tf.ensure_shape(crops[0], crop_shape)

            return tf.cond(ok, cut, lambda: tf.zeros(crop_shape))

        crops = tf.map_fn(
            cut_one,
            (image_bytes, kept, valid, look.boxes),
            fn_output_signature=tf.TensorSpec(crop_shape, tf.float32),
            parallel_iterations=2,
        )
        return self._answer(look, crops, size, reason)

    def locate(self, proxy: tf.Tensor, image_size: tf.Tensor) -> Outputs:
        """Says where to look, for a client that keeps its pixels; ``image_size`` is height and width, pixels."""
        self._check_batch(proxy, self._spec.max_batch)
        proxy, size, reason = _checked(proxy, image_size)
        look = self._look(proxy, size, samples=1)
        finite = _finite(look.boxes) & _finite(look.kl)
        reason = tf.where(tf.equal(reason, "") & ~finite, NOT_FINITE_ANSWER, reason)
        valid = tf.equal(reason, "")
        mask = valid[:, tf.newaxis]
        boxes = tf.where(mask[..., tf.newaxis], look.boxes, 0.0)
        return {
            "boxes": boxes,
            "boxes_px": box_ops.boxes_to_pixels(boxes, size[:, tf.newaxis]),
            "kl": tf.where(mask, look.kl, 0.0),
            DESCRIPTION_OUTPUT: tf.fill(tf.shape(valid), self._spec.to_json()),
            **_masked(look.posterior_map, valid, "posterior_map"),
            "valid": valid,
            "reason": reason,
        }

    def classify_crops(self, proxy: tf.Tensor, image_size: tf.Tensor, crops: tf.Tensor) -> Outputs:
        """Classifies the crops that ``locate`` asked for."""
        self._check_batch(proxy, self._spec.max_batch)
        proxy, size, reason = _checked(proxy, image_size)
        crops, finite = _without_not_finite(crops)
        reason = tf.where(tf.equal(reason, "") & ~finite, NOT_FINITE_CROPS, reason)
        return self._answer(self._look(proxy, size, samples=1), crops, size, reason)

    def _from_pyramids(self, proxy: tf.Tensor, features: Outputs, reason: tf.Tensor) -> Outputs:
        size = tf.stack([features[contract.HEIGHT], features[contract.WIDTH]], axis=-1)
        reason = tf.where(tf.equal(reason, "") & tf.reduce_any(size < 1, axis=1), NO_PYRAMID, reason)
        proxy, finite = _without_not_finite(proxy)
        reason = tf.where(tf.equal(reason, "") & ~finite, NOT_FINITE_PROXY, reason)
        size = _safe_size(size, tf.equal(reason, ""))
        look = self._look(proxy, size)
        pyramids = {name: features[name] for name in contract.PYRAMID_FEATURES}
        crops, readable, tiles_read = self._crop_tiles(pyramids, look.boxes, self._roots())
        reason = tf.where(tf.equal(reason, "") & ~readable, NO_PYRAMID, reason)
        return {**self._answer(look, crops, size, reason), "tiles_read": tiles_read}

    def _look(self, proxy: tf.Tensor, size: tf.Tensor, samples: int | None = None) -> _Look:
        """Trajectories, ``N`` per image, side by side along the steps."""
        count = samples or self._config.num_samples
        repeated = tf.repeat(proxy, count, axis=0)
        # One trajectory follows the posterior's mean; several are drawn from it.
        sizes = tf.cast(tf.repeat(size, count, axis=0), tf.int32)
        boxes, kl, hidden_states, posterior_map = self._locate(repeated, sizes, sample=count > 1)
        boxes = tf.reshape(boxes, [-1, count * self._config.crops_per_image, 4])
        if posterior_map is not None:
            posterior_map = posterior_map[::count]  # of the first look, and so of every trajectory
        return _Look(boxes, self._kl_of_boxes(kl, count), hidden_states, posterior_map, count)

    def _kl_of_boxes(self, kl: tf.Tensor, count: int) -> tf.Tensor:
        """``[B·N, T]`` → one number per box: a look's first box has its divergence, its other scales have 0."""
        further = len(self._config.scales) - 1
        if further:
            kl = tf.pad(kl[..., tf.newaxis], [[0, 0], [0, 0], [0, further]])
        return tf.reshape(kl, [-1, count * self._config.crops_per_image])

    def _answer(self, look: _Look, crops: tf.Tensor, size: tf.Tensor, reason: tf.Tensor) -> Outputs:
        side = self._config.crop_size
        length = self._config.crops_per_image  # L
        crops = tf.reshape(crops, [-1, length, side, side, self._spec.bands])  # [B·N, L, S, S, C]
        logits, evidence = self._classify(crops, look.hidden_states)
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        classes = len(self._spec.class_names)
        probabilities = tf.reduce_mean(tf.reshape(probabilities, [-1, look.samples, classes]), axis=1)  # [B, K]
        if self._spec.temperature != 1.0:
            probabilities = tf.nn.softmax(tf.math.log(probabilities) / self._spec.temperature)
        valid = tf.equal(reason, "") & _finite(probabilities) & _finite(look.boxes) & _finite(look.kl)
        if evidence is not None:
            evidence = tf.reshape(evidence, [-1, look.samples * length, classes])
        mask = valid[:, tf.newaxis]
        probabilities = tf.where(mask, probabilities, 0.0)
        predicted = tf.argmax(probabilities, axis=1)
        boxes = tf.where(mask[..., tf.newaxis], look.boxes, 0.0)
        return {
            "probabilities": probabilities,
            "classes": tf.where(valid, predicted, -1),
            "labels": tf.where(valid, tf.gather(tf.constant(self._spec.class_names), predicted), ""),
            "boxes": boxes,
            "boxes_px": box_ops.boxes_to_pixels(boxes, size[:, tf.newaxis]),
            "kl": tf.where(mask, look.kl, 0.0),
            **_masked(evidence, valid, "evidence"),
            **_masked(look.posterior_map, valid, "posterior_map"),
            "entropy": -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), axis=1),
            "valid": valid,
            "reason": tf.where(valid | tf.not_equal(reason, ""), reason, NOT_FINITE_ANSWER),
        }

    def _roots(self) -> tf.Tensor:
        return image_roots_in_graph(tf.io.read_file(self.files[ROOTS_FILE].asset_path))

    def _check_batch(self, batch: tf.Tensor, limit: int) -> None:
        tf.debugging.assert_less_equal(tf.shape(batch)[0], limit, f"The batch has more than {limit} images.")


@dataclass(frozen=True)
class _Look:
    boxes: tf.Tensor  # [B, N·L, 4]
    kl: tf.Tensor  # [B, N·L]
    hidden_states: tf.Tensor  # [B·N, T, D]
    posterior_map: tf.Tensor | None  # [B, rows, columns]
    samples: int  # N


def _locate(model: VariationalSaccader) -> Callable[..., tuple[tf.Tensor | None, ...]]:
    def locate(proxy: tf.Tensor, size: tf.Tensor, sample: bool) -> tuple[tf.Tensor | None, ...]:
        trajectory = model.locate(proxy, size, sample=sample)
        return trajectory.boxes, trajectory.kl, trajectory.hidden_states, trajectory.posterior_map

    return locate


def _answers(model: VariationalSaccader) -> Callable[..., tuple[tf.Tensor | None, ...]]:
    def answers(crops: tf.Tensor, hidden_states: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        found = model.answer_crops(crops, hidden_states)
        return found.logits, found.evidence

    return answers


def _crop_tiles(model: VariationalSaccader, bands: int) -> Callable[..., TileCrops]:
    def crop_tiles(features: Outputs, boxes: tf.Tensor, roots: tf.Tensor) -> TileCrops:
        return model.localized_spatial_transformer(features, boxes, roots=roots, channels=bands)

    return crop_tiles


def _masked(values: tf.Tensor | None, valid: tf.Tensor, name: str) -> Outputs:
    """An output that only some models have: zeros where an image is not valid; nothing where there is none."""
    if values is None:
        return {}
    return {name: where_valid(valid, values)}


def _checked(proxy: tf.Tensor, image_size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Proxies and image sizes that the model can work on, and why an image is refused; "" where it is not."""
    positive = tf.reduce_all(image_size > 0, axis=1)
    proxy, finite = _without_not_finite(proxy)
    reason = tf.where(positive, tf.where(finite, "", NOT_FINITE_PROXY), NO_SIZE)
    return proxy, _safe_size(tf.cast(image_size, tf.int64), positive), reason


def _finite(values: tf.Tensor) -> tf.Tensor:
    """Whether all values of an image are finite, ``[B]``."""
    return tf.reduce_all(tf.math.is_finite(values), axis=list(range(1, values.shape.rank)))


def _without_not_finite(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Zeros instead of values that are not finite, and which images had none of these."""
    return tf.where(tf.math.is_finite(values), values, 0.0), _finite(values)


def _safe_size(size: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """A size of one pixel for images that will not be read: arithmetic on a size of zero is not finite."""
    return tf.where(valid[:, tf.newaxis], size, tf.ones_like(size))
