"""Co-teaching against its definition, example by example."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl.label_noise.co_teaching import co_teaching, loss
from infotheory_dl.training import train

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(10, 4))
LABELS = RANDOM.integers(0, 3, 10)
WEIGHTS = RANDOM.normal(size=(2, 4, 3))


def linear(params, inputs):
    return inputs @ params["weight"]


def surprise(weight, rows):
    logits = INPUTS[rows] @ weight
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(rows)), LABELS[rows]]


def gradient(weight, rows):
    """Of the mean cross-entropy of linear logits."""
    exponentials = np.exp(INPUTS[rows] @ weight)
    errors = exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[LABELS[rows]]
    return INPUTS[rows].T @ errors / len(rows)


def exchange(weights, rows, num_kept, rate=0.3):
    """One step of gradient descent of both, on the rows with the least surprise for the other."""
    easy = [rows[np.argsort(surprise(weight, rows))[:num_kept]] for weight in weights]
    return [weight - rate * gradient(weight, chosen) for weight, chosen in zip(weights, reversed(easy), strict=True)]


@pytest.mark.parametrize(("forget_rate", "num_kept"), [(0.0, 10), (0.3, 7), (0.54, 5), (0.99, 0)])
def test_each_learns_from_what_is_easy_for_the_other(forget_rate, num_kept):
    value = loss(*(INPUTS @ WEIGHTS), LABELS, forget_rate=forget_rate)[0]
    first, second = (surprise(weight, np.arange(10)) for weight in WEIGHTS)
    easy = [np.argsort(values)[:num_kept] for values in (first, second)]
    np.testing.assert_allclose(value, (first[easy[1]].sum() + second[easy[0]].sum()) / max(num_kept, 1), rtol=1e-12)


def test_rows_that_fill_up_a_batch_are_neither_counted_nor_chosen():
    logits = [np.concatenate([INPUTS @ weight, 100 * np.eye(3)[LABELS]]) for weight in WEIGHTS]
    mask = np.repeat([True, False], 10)
    value, metrics = loss(*logits, np.tile(LABELS, 2), forget_rate=0.3, mask=mask)
    expected, expected_metrics = loss(*(INPUTS @ WEIGHTS), LABELS, forget_rate=0.3)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    jax.tree.map(np.testing.assert_allclose, metrics, expected_metrics)


def test_a_training_is_the_plain_exchange_and_the_share_grows_over_the_warm_up():
    system = co_teaching([linear] * 2, optax.sgd(0.3), growth_steps=4)
    state = system.init(*({"weight": jnp.asarray(weight)} for weight in WEIGHTS), forget_rate=0.4)
    trained = train(KEY, system.step, state, (INPUTS, LABELS), num_epochs=6).state
    weights, rows = list(WEIGHTS), np.arange(10)
    for num_kept in (10, 9, 8, 7, 6, 6):
        weights = exchange(weights, rows, num_kept)
    for part, weight in zip(trained.networks, weights, strict=True):
        np.testing.assert_allclose(part.params["weight"], weight, rtol=1e-10)
    np.testing.assert_allclose(trained.settings["forget_rate"], 0.4)
    assert system.evaluate(trained, (INPUTS, LABELS))["loss"] == pytest.approx(surprise(weights[0], rows).mean())


@pytest.mark.usefixtures("as_a_user_sees")
def test_impossible_settings_are_refused():
    params = {"weight": jnp.asarray(WEIGHTS[0])}
    with pytest.raises(ValueError, match="growth_steps must be at least 0, got -1"):
        co_teaching([linear] * 2, optax.sgd(0.1), growth_steps=-1)
    system = co_teaching([linear] * 2, optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"forget_rate must lie in \[0, 1\), got 1.0"):
        system.init(params, params, forget_rate=1.0)
    with pytest.raises(ValueError, match="init takes the variables of 2 networks, got 1"):
        system.init(params)
    with pytest.raises(ValueError, match=r"classifier_logits and peer_logits must have one shape, got \(10, 3\) and"):
        loss(INPUTS @ WEIGHTS[0], np.zeros((10, 2)), LABELS % 2, forget_rate=0.2)
