"""Draws without replacement against enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops import categorical

RNG = np.random.default_rng(11)
CELLS = (2, 4)
NUMBER = 8


def near(a: int, b: int, inhibition: int) -> bool:
    return all(abs(x - y) <= inhibition for x, y in zip(divmod(a, CELLS[1]), divmod(b, CELLS[1]), strict=True))


def sequences(log_q: np.ndarray, steps: int, inhibition: int) -> dict[tuple[int, ...], float]:
    """Every sequence of cells and its probability, from the definition."""
    found = {}
    for cells in itertools.product(range(NUMBER), repeat=steps):
        probability, free = 1.0, set(range(NUMBER))
        for cell in cells:
            if cell not in free:
                probability = 0.0
                break
            probability *= np.exp(log_q[cell]) / sum(np.exp(log_q[other]) for other in free)
            free = {other for other in free if not near(other, cell, inhibition)}
        if probability > 0.0:
            found[cells] = probability
    return found


def enumerated(log_q: np.ndarray, steps: int, inhibition: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All sequences as one batch: cells, masks of what was free, probabilities."""
    table = sequences(log_q, steps, inhibition)
    cells = np.array(list(table))
    free = np.ones([len(cells), steps, NUMBER], np.float32)
    for row, chosen in enumerate(cells):
        for t, cell in itertools.product(range(steps), range(NUMBER)):
            free[row, t, cell] = not any(near(cell, other, inhibition) for other in chosen[:t])
    return cells.astype(np.int32), free, np.array(list(table.values()))


@pytest.mark.parametrize(("steps", "inhibition"), [(3, 0), (2, 1)])
def test_one_noise_for_all_steps_draws_exactly(steps, inhibition):
    log_q = RNG.normal(size=NUMBER).astype("float32") * 1.5
    count = 40_000
    noise = categorical.gumbel_noise(tf.random.stateless_uniform([count, NUMBER], seed=(1, 2)))
    drawn, _, _ = categorical.draw_cells(log_q + noise, CELLS, steps, inhibition)
    expected = sequences(log_q, steps, inhibition)
    keys, counts = np.unique(drawn.numpy(), axis=0, return_counts=True)
    found = {tuple(key): number / count for key, number in zip(keys.tolist(), counts, strict=True)}
    assert set(found) <= set(expected)
    for cells, probability in expected.items():
        spread = np.sqrt(probability * (1 - probability) / count)
        assert abs(found.get(cells, 0.0) - probability) < 5 * spread + 1e-4, cells


@pytest.mark.parametrize(("steps", "inhibition"), [(3, 0), (2, 1)])
def test_log_prob_and_kl_are_those_of_the_definition(steps, inhibition):
    log_q, log_p = RNG.normal(size=(2, NUMBER)).astype("float32") * 2.0
    cells, free, probability = enumerated(log_q, steps, inhibition)
    rows = len(cells)
    log_prob, kl = categorical.log_prob_and_kl(
        tf.tile(log_q[None], [rows, 1]), tf.tile(log_p[None], [rows, 1]), tf.constant(cells), tf.constant(free)
    )
    np.testing.assert_allclose(np.exp(np.sum(log_prob, 1)), probability, rtol=1e-5)
    for row, t in itertools.product(range(rows), range(steps)):
        mask = free[row, t] > 0
        q, p = (np.exp(v[mask]) / np.exp(v[mask]).sum() for v in (log_q, log_p))
        assert float(kl[row, t]) == pytest.approx(float(np.sum(q * np.log(q / p))), abs=1e-5)


def test_the_mode_is_the_likeliest_cell_that_is_free():
    scores = tf.constant([[0.0, 5.0, 4.0, 3.0, 1.0, 2.0, -1.0, -2.0]])
    drawn, free, left = categorical.draw_cells(scores, CELLS, 4, 0)
    assert drawn.numpy().tolist() == [[1, 2, 3, 5]]
    assert free.numpy().sum(-1).tolist() == [[8.0, 7.0, 6.0, 5.0]]
    assert tf.reshape(left, [-1]).numpy().tolist() == [True, False, False, False, True, False, True, True]


def test_peaks_of_any_height_stay_finite():
    log_q = tf.constant([[0.0, 500.0, 499.0, -500.0, 2.0, 1.0, -1.0, -2.0]])
    with tf.GradientTape() as tape:
        tape.watch(log_q)
        drawn, free, _ = categorical.draw_cells(log_q, CELLS, 5, 0)
        log_prob, kl = categorical.log_prob_and_kl(log_q, tf.zeros_like(log_q), drawn, free)
        total = tf.reduce_sum(log_prob) + tf.reduce_sum(kl)
    for value in (log_prob, kl, tape.gradient(total, log_q)):
        assert np.all(np.isfinite(value))
    assert drawn.numpy().tolist() == [[1, 2, 4, 5, 0]]


def test_equal_logits_have_no_divergence():
    log_q = tf.constant(RNG.normal(size=(4, NUMBER)), tf.float32)
    drawn, free, _ = categorical.draw_cells(log_q, CELLS, 3, 0)
    _, kl = categorical.log_prob_and_kl(log_q, log_q + 3.0, drawn, free)
    np.testing.assert_allclose(kl, 0.0, atol=1e-5)
