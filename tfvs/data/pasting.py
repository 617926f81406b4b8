"""Training data enlarged by pasting, seen through a field of view that grows: ``tf.data`` steps for any data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfvs.config import Config, option, require
from tfvs.data import example as contract
from tfvs.data.dataset import Inputs, read_labels, read_records, to_inputs
from tfvs.data.inputs import FIELD_OF_VIEW, MIRRORED, PASTE_BOXES, PASTES
from tfvs.errors import DataError
from tfvs.images.cut_outs import Paste, PasteBank, PasteConfig, draw_pastes, lay_over
from tfvs.images.proxy import ProxyRecipe
from tfvs.ops.tracing import as_written

ROW, COLUMN = 0, 1


@dataclass(frozen=True)
class FieldConfig(Config):
    """How much of an image the model may look at, by the step of training.

    A small field around something of the class is a small image: one look reads it, and what the class looks like is
    learned. As the field grows, where to look is learned. Evaluation and use see all of an image.
    """

    cells: tuple[int, int] = option(help="Rows and columns of the map of places.", at_least=1)
    start_cells: int = option(9, "Side of the field at first, cells.", at_least=1)
    hold_steps: int = option(60, "Number of steps until the field grows.", at_least=0)
    grow_steps: int = option(
        300,
        "Number of steps until it is as wide as the map, by equal factors; 0 keeps it as it is at first.",
        at_least=0,
    )
    real_share: float = option(
        0.25,
        "Fraction of a batch that are images as they are, once the field is full; before, there are none.",
        at_least=0,
        below=1,
    )

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        super().__post_init__()
        widest = max(self.cells)
        require(
            self.start_cells <= widest,
            "The field is wider than the map of places",
            expected=f"start_cells at most {widest}",
            received=self.start_cells,
        )

    def side(self, step: int) -> int:
        """Side of the field at a step of training, cells; the field is no higher than the map.

        >>> field = FieldConfig(cells=(50, 85))
        >>> [field.side(step) for step in (0, 60, 210, 360, 1000)]
        [9, 9, 28, 85, 85]
        """
        widest = max(self.cells)
        if not self.grow_steps:
            return self.start_cells
        grown = min(max((step - self.hold_steps) / self.grow_steps, 0.0), 1.0)
        return round(self.start_cells * (widest / self.start_cells) ** grown)

    def is_full(self, step: int) -> bool:
        """Whether the field is all of the image."""
        return self.side(step) == max(self.cells)

    def draw(self, random: np.random.Generator, step: int, focus: np.ndarray) -> np.ndarray:
        """Draws a field with something in it, not at its edge where there is room.

        Args:
          random: What is drawn from.
          step: Step of training.
          focus: Row and column in [0, 1].

        Returns:
          ``[y0, x0, y1, x1]`` float32 in [0, 1], whole cells.
        """
        side, edges = self.side(step), []
        for axis, most in enumerate(self.cells):
            cell = min(int(focus[axis] * most), most - 1)
            low = int(np.clip(cell - random.integers(1, max(side - 1, 2)), 0, max(most - side, 0)))
            edges.append((low / most, min(low + side, most) / most))
        return np.array([edges[0][0], edges[1][0], edges[0][1], edges[1][1]], np.float32)


@dataclass(frozen=True)
class PastedBatches:
    """Batches for training: pairs of an image with and without pastes of a class, and images as they are.

    Each pair is one image of the class of "nothing", twice with the same look-alikes pasted; something of a class is
    pasted into the first. Batch ``n`` is a function of the seed and ``n``.

    Attributes:
      files: Record files.
      proxy: Recipe of the proxies.
      bank: What is pasted.
      pastes: How pastes are changed and placed.
      field: What may be looked at, by the step.
      batch_size: Images in a batch.
      seed: Seed of all that is drawn.
      class_share: Share of each class among unchanged images; None takes the class of "nothing" three times in ten and
        the others evenly.
    """

    files: Sequence[str]
    proxy: ProxyRecipe
    bank: PasteBank
    pastes: PasteConfig
    field: FieldConfig
    batch_size: int
    seed: int = 0
    class_share: Sequence[float] | None = None

    @as_written
    def dataset(self, first_step: int, last_step: int) -> tf.data.Dataset:
        """Batches of ``(inputs, label, weight)``.

        Args:
          first_step: Number of the first batch.
          last_step: Number of the batch after the last.

        Raises:
          DataError: There are no images of the class of "nothing", or labels without a share.
        """
        records = np.array(list(read_records(self.files).as_numpy_iterator()), dtype=object)
        labels = read_labels(self.files)
        backgrounds = np.flatnonzero(labels == self.bank.none_class)
        if not len(backgrounds):
            raise DataError(
                "There are no images to paste into", expected=f"images of class {self.bank.none_class}", received=0
            )
        draw = _Draw(self, records, labels, backgrounds, self._shares(labels))
        canvas = self.pastes.canvas_px
        shapes: dict[str, tuple[tf.DType, tuple[int | None, ...]]] = {
            "serialized": (tf.string, ()),
            "proxy": (tf.uint8, self.proxy.shape),
            PASTES: (tf.uint8, (self.pastes.max_pastes, canvas, canvas, 4)),
            PASTE_BOXES: (tf.float32, (self.pastes.max_pastes, 4)),
            MIRRORED: (tf.uint8, ()),
            FIELD_OF_VIEW: (tf.float32, (4,)),
            "label": (tf.int64, ()),
        }

        def make(step: tf.Tensor) -> tuple[Inputs, tf.Tensor, tf.Tensor]:
            values = tf.numpy_function(draw.batch, [step], [kind for kind, _ in shapes.values()], stateful=False)
            named = {
                name: tf.ensure_shape(value, (self.batch_size, *shape))
                for (name, (_, shape)), value in zip(shapes.items(), values, strict=True)
            }
            inputs, _ = to_inputs(named.pop("serialized"), self.proxy)
            label = named.pop("label")
            inputs |= {**named, "proxy": tf.cast(named["proxy"], tf.float32) / 255.0}
            return inputs, label, tf.ones([self.batch_size])

        return tf.data.Dataset.range(first_step, last_step).map(make, num_parallel_calls=1).prefetch(2)

    def _shares(self, labels: np.ndarray) -> np.ndarray:
        """Probability of each record among images as they are."""
        counts = np.bincount(labels)
        shares = self.class_share
        if shares is None:
            others = max(np.count_nonzero(counts) - 1, 1)
            shares = [0.3 if label == self.bank.none_class else 0.7 / others for label in range(len(counts))]
        if len(shares) < len(counts):
            raise DataError("A label has no share", expected=f"{len(counts)} shares", received=list(shares))
        found = np.asarray(shares)[labels] / counts[labels]
        return found / found.sum()


class _Draw:
    """Makes batches from their numbers."""

    def __init__(
        self, plan: PastedBatches, records: np.ndarray, labels: np.ndarray, backgrounds: np.ndarray, shares: np.ndarray
    ) -> None:
        self._plan, self._records, self._labels = plan, records, labels
        self._backgrounds, self._shares = backgrounds, shares
        parsed = [tf.train.Example.FromString(record).features.feature for record in records]
        self._sizes = [
            (found[contract.HEIGHT].int64_list.value[0], found[contract.WIDTH].int64_list.value[0]) for found in parsed
        ]
        decode: Callable[[bytes], tf.Tensor] = lambda png: tf.io.decode_png(png, plan.proxy.channels)  # noqa: E731
        self._proxies = [decode(found[contract.PROXY].bytes_list.value[0]).numpy() for found in parsed]

    def batch(self, step: np.ndarray) -> tuple[np.ndarray, ...]:
        """All inputs of batch number ``step``."""
        plan, number = self._plan, int(step)
        random = np.random.default_rng((plan.seed, number))
        real = round(plan.field.real_share * plan.batch_size) if plan.field.is_full(number) else 0
        rows: list[tuple] = []
        for row in random.choice(len(self._labels), real, p=self._shares):
            rows.append(self._row(row, [], False, plan.field.draw(random, number, random.random(2))))
        while len(rows) < plan.batch_size:
            rows.extend(self._pair(random, number))
        serialized, *others = zip(*rows[: plan.batch_size], strict=True)
        # As objects: an array of bytes would lose the zeros at a record's end.
        columns = [np.array(serialized, dtype=object), *map(np.stack, others)]
        for proxy, light in zip(columns[1], random.uniform(*plan.pastes.light, plan.batch_size), strict=True):
            proxy[:] = np.clip(np.round(np.arange(256) * light), 0, 255).astype(np.uint8)[proxy]
        return tuple(columns)

    def _pair(self, random: np.random.Generator, number: int) -> list[tuple]:
        plan = self._plan
        row = self._backgrounds[random.integers(len(self._backgrounds))]
        size = self._sizes[row]
        pastes = draw_pastes(random, plan.bank, plan.pastes, size)
        mirrored = bool(random.random() < plan.pastes.mirror)
        first = pastes[0].pixels.shape
        focus = np.array([(pastes[0].top + first[0] / 2) / size[0], (pastes[0].left + first[1] / 2) / size[1]])
        others = [paste for paste in pastes if paste.label == plan.bank.none_class]
        return [self._row(row, shown, mirrored, plan.field.draw(random, number, focus)) for shown in (pastes, others)]

    def _row(self, row: int, pastes: Sequence[Paste], mirrored: bool, field: np.ndarray) -> tuple:
        config, size, proxy = self._plan.pastes, self._sizes[row], self._proxies[row]
        canvases = np.zeros([config.max_pastes, config.canvas_px, config.canvas_px, 4], np.uint8)
        boxes = np.zeros([config.max_pastes, 4], np.float32)
        for n, paste in enumerate(pastes):
            rows, columns = paste.pixels.shape[:2]
            canvases[n, :rows, :columns] = paste.pixels
            end = (paste.top + config.canvas_px, paste.left + config.canvas_px)
            boxes[n] = (paste.top / size[0], paste.left / size[1], end[0] / size[0], end[1] / size[1])
        seen = lay_over(proxy[:, ::-1] if mirrored else proxy, size, pastes)
        label = pastes[0].label if pastes else self._labels[row]
        return self._records[row], seen, canvases, boxes, np.uint8(mirrored), field, np.int64(label)
