"""A posterior for small things: a cell of the proxy's map, and a Gaussian offset and scale inside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.posteriors.proposal import PlaceProposal, check_stddev
from tfvs.layers.shapes import known
from tfvs.ops import categorical, gaussian

INITIAL_STDDEV = 0.2  # standard deviation of an offset, in cells
NARROWEST_PRIOR = 1e-3  # at first, however narrow a fixed posterior is


class CategoricalLooking(NamedTuple):
    """What the steps of one trajectory share, and what each gives to the next.

    Attributes:
      feature_map: ``[B, N, F]`` of the proxy, one vector per cell.
      log_p: ``[B, N]`` float32, the prior over cells, as far as it is the same at every step; not normalised.
      evidence: ``[B, N]`` float32, what the posterior adds to it.
      free: ``[B, rows, columns]`` bool, cells not yet looked at; None where all steps are drawn beforehand.
      drawn: ``[B, T]`` int32 cells of all steps, where they are drawn beforehand.
      log_prob: ``[B, T]`` float32, log q(k_t | k_<t) of those.
      kl: ``[B, T]`` float32 nats of those.
      local: ``[B, T, F]`` features at those cells; None where offsets are not learned.
    """

    feature_map: tf.Tensor
    log_p: tf.Tensor
    evidence: tf.Tensor
    free: tf.Tensor | None = None
    drawn: tf.Tensor | None = None
    log_prob: tf.Tensor | None = None
    kl: tf.Tensor | None = None
    local: tf.Tensor | None = None


@keras.saving.register_keras_serializable("tfvs")
class CategoricalPosterior(keras.layers.Layer):
    """``z_t = (k_t, offset_t, scale_t)``: a cell, which unlike a mean of places never lies between two things.

    ``q(k_t | x̂, h_{t-1}, k_<t) = softmax(log p(k_t) + evidence)`` over the cells still free: a cell and its neighbours
    are looked at once. In the cell, offset and scale are Gaussian and reparametrised, with a learned prior
    ``N(μ, σ)(h_{t-1})``; posterior and prior begin alike. Evidence begins near zero, so that the divergence begins at
    zero too. As long as neither prior nor evidence reads h, all cells are drawn at once, from one Gumbel noise.

    Args:
      cells: Rows and columns of the map.
      inhibition: Cells within so many rows and columns of an earlier look's are not looked at again.
      learns_prior: Whether p(k_t) is learned, from h_{t-1} and the map.
      reads_state: Whether the evidence depends on h_{t-1}.
      learns_offset: Whether the posterior's offset and scale are learned, from h_{t-1} and the features at the cell;
        otherwise their mean is 0 and their standard deviation fixed.
      prior_units: Width of the hidden layer of the Gaussian prior.
      posterior_units: Width of the hidden layer of the Gaussian posterior.
      stddev: A fixed standard deviation of the posterior's Gaussian, in cells; None learns it, or takes 0.2 where
        offsets are not learned.
      seed: Seed of the noise; None draws one.

    Raises:
      ConfigError: A map without cells, a negative inhibition, or a standard deviation that is not positive.
    """

    def __init__(
        self,
        cells: tuple[int, int],
        inhibition: int = 2,
        learns_prior: bool = False,
        reads_state: bool = False,
        learns_offset: bool = True,
        prior_units: int = 128,
        posterior_units: int = 256,
        stddev: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cells = rows, columns = int(cells[0]), int(cells[1])
        require(rows >= 1 and columns >= 1, "The map has no cells", expected="at least (1, 1)", received=cells)
        require(inhibition >= 0, "inhibition is negative", expected="0 or more", received=inhibition)
        check_stddev(stddev)
        self.inhibition, self.learns_prior, self.reads_state = inhibition, learns_prior, reads_state
        self.learns_offset, self.prior_units, self.posterior_units = learns_offset, prior_units, posterior_units
        self.stddev, self.seed = stddev, seed
        self._noise = keras.random.SeedGenerator(seed)
        policy = self.dtype_policy
        dense = keras.layers.Dense
        self.evidence = dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="evidence",
            dtype=policy,
        )
        self.prior_hidden = dense(prior_units, activation="relu", name="prior_hidden", dtype=policy)
        self.prior_head = dense(6, kernel_initializer="zeros", name="prior_head", dtype=policy)
        if learns_offset:
            self.hidden = dense(posterior_units, activation="relu", name="hidden", dtype=policy)
            self.head = dense(3 if stddev else 6, kernel_initializer="zeros", name="head", dtype=policy)

    @property
    def draws_at_once(self) -> bool:
        """Whether no step's cell depends on the recurrent state."""
        return not (self.learns_prior or self.reads_state)

    def build(
        self, features_shape: Any, map_shape: tuple[int | None, ...], hidden_shape: tuple[int | None, ...]
    ) -> None:
        """Args: features_shape: not used; map_shape: ``[B, rows, columns, F]``; hidden_shape: ``[B, D]``."""
        filters, width = known(map_shape[-1], "the map's features"), known(hidden_shape[-1], "the state")
        self.evidence.build((None, None, filters))
        self.prior_hidden.build(hidden_shape)
        self.prior_head.build((None, self.prior_units))
        if self.learns_offset:
            self.hidden.build((None, filters + width))
            self.head.build((None, self.posterior_units))
        queries = {"prior_query": self.learns_prior, "evidence_query": self.reads_state}
        for name in (name for name, used in queries.items() if used):
            query = keras.layers.Dense(filters, kernel_initializer="zeros", name=name, dtype=self.dtype_policy)
            query.build(hidden_shape)
            setattr(self, name, query)

    def begin(
        self, features: tf.Tensor, feature_map: tf.Tensor, log_prior: tf.Tensor, num_steps: int, sample: bool
    ) -> CategoricalLooking:
        """What all steps of one trajectory share; where no step's cell depends on the state, all cells too.

        Args:
          features: Not used.
          feature_map: ``[B, rows, columns, F]``.
          log_prior: ``[B, rows, columns]`` float32, not normalised.
          num_steps: T.
          sample: Whether cells are drawn, or the likeliest are taken.
        """
        del features
        number = self.cells[0] * self.cells[1]
        flat = tf.reshape(feature_map, [-1, number, feature_map.shape[-1]])
        log_p = tf.reshape(log_prior, [-1, number])
        looking = CategoricalLooking(flat, log_p, tf.cast(self.evidence(flat), tf.float32)[..., 0])
        if not self.draws_at_once:
            return looking._replace(free=tf.ones([tf.shape(flat)[0], *self.cells], tf.bool))
        log_q = log_p + looking.evidence
        drawn, free, _ = categorical.draw_cells(self._scores(log_q, sample), self.cells, num_steps, self.inhibition)
        log_prob, kl = categorical.log_prob_and_kl(log_q, log_p, drawn, free)
        local = tf.gather(flat, drawn, batch_dims=1) if self.learns_offset else None
        return looking._replace(drawn=drawn, log_prob=log_prob, kl=kl, local=local)

    def propose(
        self, looking: CategoricalLooking, hidden: tf.Tensor, step: int, sample: bool
    ) -> tuple[PlaceProposal, CategoricalLooking]:
        """Proposes z_t.

        Args:
          looking: As :meth:`begin` or the last step gave it.
          hidden: ``[B, D]`` h_{t-1}.
          step: t, from 0.
          sample: Whether z_t is drawn, or the likeliest cell and the mean in it are taken.

        Returns:
          The proposal, whose latent is [scale, x, y]; and what the next step gets.
        """
        log_q = looking.log_p + looking.evidence
        local = None
        if looking.drawn is not None and looking.log_prob is not None and looking.kl is not None:
            cell, log_prob, kl = looking.drawn[:, step], looking.log_prob[:, step], looking.kl[:, step]
            if looking.local is not None:
                local = looking.local[:, step]
        else:
            log_p = looking.log_p + (self._answers(self.prior_query, hidden, looking) if self.learns_prior else 0.0)
            log_q = log_p + looking.evidence
            if self.reads_state:
                log_q += self._answers(self.evidence_query, hidden, looking)
            scores = self._scores(log_q, sample)
            drawn, mask, free = categorical.draw_cells(scores, self.cells, 1, self.inhibition, looking.free)
            log_prob, kl = (value[:, 0] for value in categorical.log_prob_and_kl(log_q, log_p, drawn, mask))
            cell, looking = drawn[:, 0], looking._replace(free=free)
            if self.learns_offset:
                local = tf.gather(looking.feature_map, cell, batch_dims=1)
        initial = float(self.stddev or INITIAL_STDDEV)
        prior_loc, prior_raw = tf.split(tf.cast(self.prior_head(self.prior_hidden(hidden)), tf.float32), 2, axis=-1)
        prior_scale = gaussian.stddev_from_raw(prior_raw, max(initial, NARROWEST_PRIOR))
        loc, scale = self._in_cell(local, hidden, prior_loc, initial)
        inside = loc
        if sample:
            inside += scale * keras.random.normal(tf.shape(loc), dtype="float32", seed=self._noise)
        rows, columns = self.cells
        centre = tf.stack([_centre(cell % columns, columns), _centre(cell // columns, rows)], axis=-1)  # [B, (x, y)]
        place = centre + inside[:, 1:] * tf.constant([2.0 / columns, 2.0 / rows])
        kl += gaussian.kl_divergence(loc, scale, prior_loc, prior_scale)
        logits = tf.reshape(log_q, [-1, rows, columns])
        latent = tf.concat([inside[:, :1], place], axis=-1)
        own = tf.gather(log_q, cell, batch_dims=1)
        return PlaceProposal(latent, loc, scale, prior_loc, prior_scale, kl, log_prob, logits, own), looking

    def _in_cell(
        self, local: tf.Tensor | None, hidden: tf.Tensor, like: tf.Tensor, initial: float
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and standard deviation of [scale, offset in x, offset in y], ``[B, 3]`` each."""
        if local is None:
            return tf.zeros_like(like), tf.fill(tf.shape(like), initial)
        raw = self.head(self.hidden(tf.concat([local, tf.cast(hidden, local.dtype)], axis=-1)))
        raw = tf.cast(raw, tf.float32)
        if self.stddev is not None:
            return raw, tf.fill(tf.shape(raw), initial)
        loc, raw_scale = tf.split(raw, 2, axis=-1)
        return loc, gaussian.stddev_from_raw(raw_scale, initial)

    def _answers(self, query: keras.layers.Dense, hidden: tf.Tensor, looking: CategoricalLooking) -> tf.Tensor:
        """How each cell's features answer a query of the state, ``[B, N]`` float32."""
        asked = query(hidden)
        answers = tf.einsum("bnf,bf->bn", looking.feature_map, tf.cast(asked, looking.feature_map.dtype))
        return tf.cast(answers, tf.float32) * known(asked.shape[-1], "the query") ** -0.5

    def _scores(self, log_q: tf.Tensor, sample: bool) -> tf.Tensor:
        if not sample:
            return log_q
        uniform = keras.random.uniform(tf.shape(log_q), dtype="float32", seed=self._noise)
        return tf.stop_gradient(log_q) + categorical.gumbel_noise(uniform)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        choices = ("cells", "inhibition", "learns_prior", "reads_state", "learns_offset")
        names = (*choices, "prior_units", "posterior_units", "stddev", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _centre(index: tf.Tensor, cells: int) -> tf.Tensor:
    """The middle of a cell along one axis, in [-1, 1]."""
    return (tf.cast(index, tf.float32) + 0.5) * (2.0 / cells) - 1.0
