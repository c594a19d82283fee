"""The engine: what it runs is what a plain loop would run, for one model and for many."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.training import Evaluation, Minibatches, minibatches, train, train_many

KEY = jax.random.key(0)
INPUTS = np.random.default_rng(0).normal(size=(10, 3))
TARGETS = INPUTS @ np.array([1.0, -2.0, 0.5])
DATA = (INPUTS, TARGETS)


class Regression(NamedTuple):
    """Linear regression by gradient descent; each model has its own rate."""

    weights: jax.Array
    rate: jax.Array


def descend(state, batch, key):
    inputs, targets = batch.data
    errors = jnp.where(batch.mask, inputs @ state.weights - targets, 0)
    gradient = inputs.T @ errors / batch.mask.sum()
    return state._replace(weights=state.weights - state.rate * gradient), {"loss": (errors**2).sum()}


def start(rate=0.1):
    return Regression(jnp.zeros(3), jnp.asarray(rate))


def starts(rates):
    return Regression(jnp.zeros((len(rates), 3)), jnp.asarray(rates))


def squared_norm(state, data):
    return {"norm": (state.weights**2).sum()}


def look(state, batch, key):
    """Changes nothing, and reports what the engine hands to a step."""
    return state, {"indices": batch.indices, "mask": batch.mask, "draw": jax.random.normal(key)}


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for path, leaf in jax.tree_util.tree_leaves_with_path(actual):
        other = dict(jax.tree_util.tree_leaves_with_path(expected))[path]
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf, other = jax.random.key_data(leaf), jax.random.key_data(other)
        np.testing.assert_array_equal(leaf, other, err_msg=jax.tree_util.keystr(path))


# the batches


def test_an_epoch_visits_every_example_once():
    seen = train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics
    assert seen["indices"].shape == (3, 3, 4)
    for indices, mask in zip(seen["indices"], seen["mask"], strict=True):
        assert sorted(indices[mask].tolist()) == list(range(10))


def test_only_the_last_batch_is_short_and_it_is_filled_with_examples():
    seen = train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics
    np.testing.assert_array_equal(seen["mask"], [[[True] * 4, [True] * 4, [True, True, False, False]]] * 3)
    assert set(seen["indices"][:, 2].ravel().tolist()) <= set(range(10))


def test_every_epoch_has_its_own_order():
    orders = train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics["indices"]
    assert len({tuple(order) for order in orders.reshape(3, 12).tolist()}) == 3


def test_the_order_can_be_that_of_the_data():
    schedule = minibatches(10, 5, shuffle=False)
    indices = train(KEY, look, start(), DATA, num_epochs=2, batch_size=schedule).metrics["indices"]
    np.testing.assert_array_equal(indices, [[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]] * 2)


def test_a_set_smaller_than_a_batch_is_one_batch():
    seen = train(KEY, look, start(), DATA, num_epochs=1, batch_size=128).metrics
    assert seen["indices"].shape == (1, 1, 10)
    assert seen["mask"].all()


def test_without_a_batch_size_the_batch_is_the_training_set_as_it_lies():
    seen = train(KEY, look, start(), DATA, num_epochs=2).metrics
    np.testing.assert_array_equal(seen["indices"], [[np.arange(10)]] * 2)
    seen = train(KEY, look, start(), DATA, num_epochs=2, subset=np.array([7, 2, 5])).metrics
    np.testing.assert_array_equal(seen["indices"], [[[7, 2, 5]]] * 2)


def test_rows_come_with_their_indices_and_keep_their_dtype():
    images = np.arange(10, dtype=np.uint8)[:, None] * np.ones((1, 4), np.uint8)

    def check(state, batch, key):
        assert batch.data["image"].dtype == jnp.uint8
        return state, {"wrong": (batch.data["image"] != batch.indices[:, None]).sum()}

    for batch_size in (None, 4):
        training = train(KEY, check, start(), {"image": images}, num_epochs=2, batch_size=batch_size)
        assert not training.metrics["wrong"].any()


def test_a_schedule_can_give_a_batch_per_domain():
    rows = {0: np.arange(4), 1: np.arange(4, 10)}

    def schedule(key, epoch):
        keys = jax.random.split(jax.random.fold_in(key, epoch))
        draws = [jax.random.choice(keys[e], rows[e], (5, 2)) for e in rows]
        return Minibatches(jnp.stack(draws, axis=1), jnp.ones((5, 2, 2), bool))

    def step(state, batch, key):
        inputs, targets = batch.data
        assert inputs.shape == (2, 2, 3)
        assert targets.shape == (2, 2)
        return state, {"indices": batch.indices}

    indices = train(KEY, step, start(), DATA, num_epochs=3, batch_size=schedule).metrics["indices"]
    assert indices.shape == (3, 5, 2, 2)
    assert (indices[:, :, 0] < 4).all()
    assert (indices[:, :, 1] >= 4).all()


# the steps


def test_training_is_the_plain_loop_over_its_batches():
    training = train(KEY, descend, start(), DATA, num_epochs=3, batch_size=4)
    batches = train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics
    weights = np.zeros(3)
    for indices, mask in zip(batches["indices"].reshape(-1, 4), batches["mask"].reshape(-1, 4), strict=True):
        inputs, targets = INPUTS[indices[mask]], TARGETS[indices[mask]]
        weights = weights - 0.1 * inputs.T @ (inputs @ weights - targets) / mask.sum()
    np.testing.assert_allclose(training.state.weights, weights, rtol=1e-12)
    assert training.epoch == 3
    assert training.metrics["loss"].shape == (3, 3)


def test_full_batch_descent_has_its_closed_form():
    training = train(KEY, descend, start(), DATA, num_epochs=50)
    hessian, moment = INPUTS.T @ INPUTS / 10, INPUTS.T @ TARGETS / 10
    solution = np.linalg.solve(hessian, moment)
    expected = solution - np.linalg.matrix_power(np.eye(3) - 0.1 * hessian, 50) @ solution
    np.testing.assert_allclose(training.state.weights, expected, rtol=1e-12)


def test_shared_arrays_are_seen_by_steps_and_evaluations_and_others_of_their_shapes_compile_nothing():
    traced = []

    def descend_by_table(state, batch, key):
        traced.append("step")
        (targets,) = batch.data
        return descend(state, batch._replace(data=(batch.shared["table"][batch.indices], targets)), key)

    def error(state, data, shared):
        return {"error": jnp.square(shared["table"] @ state.weights - data[0]).sum()}

    def train_by(table):
        evaluation = Evaluation(error, epochs=(2,))
        plan = {"num_epochs": 2, "batch_size": 4, "evaluation": evaluation}
        return train(KEY, descend_by_table, start(), (TARGETS,), shared={"table": table}, **plan)

    first, count = train_by(INPUTS), len(traced)
    second = train_by(-2 * INPUTS)
    assert len(traced) == count
    for trained, table in ((first, INPUTS), (second, -2 * INPUTS)):
        plain = train(KEY, descend, start(), (table, TARGETS), num_epochs=2, batch_size=4)
        assert_equal(trained.state, plain.state)
        expected = np.square(table @ np.asarray(plain.state.weights) - TARGETS).sum()
        np.testing.assert_allclose(trained.evaluations["error"], [expected], rtol=1e-12)


def test_every_step_has_a_key_of_its_own_and_the_same_key_gives_the_same():
    draws = train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics["draw"]
    assert len(np.unique(draws)) == 9
    np.testing.assert_array_equal(draws, train(KEY, look, start(), DATA, num_epochs=3, batch_size=4).metrics["draw"])


def test_training_leaves_the_arrays_of_the_caller_alone():
    state = start()
    training = train(KEY, descend, state, DATA, num_epochs=3, batch_size=4, callback_every=1)
    assert_equal(state, start())
    assert jax.random.key_data(KEY).shape == (2,)
    assert not np.array_equal(training.state.weights, state.weights)


def test_training_is_a_pure_function():
    rates = jnp.array([0.05, 0.1])
    expected = [train(KEY, descend, start(rate), DATA, num_epochs=3, batch_size=4).state.weights for rate in rates]

    def weights(rate):
        return train(KEY, descend, start(rate), DATA, num_epochs=3, batch_size=4).state.weights

    np.testing.assert_allclose(jax.jit(jax.vmap(weights))(rates), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.lax.map(weights, rates), expected, rtol=1e-12)


# chunks


def test_chunks_of_epochs_change_nothing_and_compile_nothing():
    traces, seen = [], []

    def step(state, batch, key):
        traces.append(None)
        state, metrics = descend(state, batch, key)
        # the rate begins as a weak type, which optimizers make a strong one
        return state._replace(rate=state.rate.astype(state.rate.dtype)), metrics

    evaluation = Evaluation(squared_norm, epochs=(2, 5, 7), maximize="norm")

    def run(**chunks):
        return train(KEY, step, start(), DATA, num_epochs=7, batch_size=4, evaluation=evaluation, **chunks)

    whole = run()
    num_traces = len(traces)
    for every, stops in ((3, [3, 6, 7]), (2, [2, 4, 6, 7]), (7, [7]), (9, [7])):
        chunked = run(callback_every=every, callback=lambda training: seen.append(int(training.epoch)))
        assert_equal(chunked, whole)
        assert seen == stops
        seen.clear()
    assert len(traces) == num_traces


def test_the_callback_sees_the_training_so_far():
    losses = []
    train(
        KEY,
        descend,
        start(),
        DATA,
        num_epochs=3,
        callback=lambda training: losses.append(np.asarray(training.metrics["loss"])),
        callback_every=1,
    )
    assert [np.isfinite(loss).sum() for loss in losses] == [1, 2, 3]
    assert losses[0][0] == losses[2][0]


# many models

RATES = np.array([0.01, 0.1, 0.2, 0.3, 0.4])
KEYS = jax.random.split(KEY, 5)


@pytest.mark.parametrize(
    ("batch_size", "settings"),
    [
        (4, {}),
        (4, {"axis": "map"}),
        (4, {"axis": "vmap"}),
        (4, {"axis": "vmap", "models_at_once": 2}),
        (None, {"axis": "vmap"}),
        (None, {"axis": "map"}),
    ],
)
def test_each_of_many_models_is_trained_as_it_would_be_alone(batch_size, settings):
    subsets = np.stack([np.roll(np.arange(10), shift)[:7] for shift in range(5)])
    evaluation = Evaluation(squared_norm, epochs=(2, 3), minimize="norm")
    plan = {"num_epochs": 3, "batch_size": batch_size, "evaluation": evaluation}
    many = train_many(KEYS, descend, starts(RATES), DATA, subsets=subsets, **plan, **settings)
    for model in range(5):
        alone = train(KEYS[model], descend, start(RATES[model]), DATA, subset=subsets[model], **plan)
        for actual, expected in (
            (many.state, alone.state),
            (many.metrics, alone.metrics),
            (many.evaluations, alone.evaluations),
            (many.best, alone.best),
        ):
            jax.tree.map(
                lambda a, b, model=model: np.testing.assert_allclose(a[model], b, rtol=1e-12), actual, expected
            )


def test_equal_keys_give_equal_orders_and_draws():
    same = jnp.stack([KEY, KEY, KEYS[0]])
    seen = train_many(same, look, starts(RATES[:3]), DATA, num_epochs=2, batch_size=4).metrics
    np.testing.assert_array_equal(seen["indices"][0], seen["indices"][1])
    np.testing.assert_array_equal(seen["draw"][0], seen["draw"][1])
    assert not np.array_equal(seen["indices"][0], seen["indices"][2])


def test_models_see_only_their_subsets():
    subsets = np.array([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])
    seen = train_many(KEYS[:2], look, starts(RATES[:2]), DATA, num_epochs=1, batch_size=5, subsets=subsets).metrics
    np.testing.assert_array_equal(np.sort(seen["indices"].reshape(2, 5)), subsets)


@pytest.mark.parametrize("axis", ["map", "vmap"])
def test_a_diverged_model_stands_still_and_harms_no_other(axis):
    rates = np.array([0.1, 1e160, 0.2])
    many = train_many(KEYS[:3], descend, starts(rates), DATA, num_epochs=5, batch_size=4, axis=axis)
    np.testing.assert_array_equal(many.diverged, [False, True, False])
    assert np.isfinite(many.state.weights).all()
    assert np.isfinite(many.metrics["loss"][0]).all()
    assert not np.isfinite(many.metrics["loss"][1]).all()
    sane = train_many(KEYS[:3], descend, starts(np.array([0.1, 0.1, 0.2])), DATA, num_epochs=5, batch_size=4, axis=axis)
    np.testing.assert_array_equal(many.state.weights[::2], sane.state.weights[::2])


def test_a_diverged_model_keeps_the_state_of_its_last_finite_epoch():
    def grow(state, batch, key):
        return state * 1e100, {}

    training = train(KEY, grow, jnp.float64(1.0), DATA, num_epochs=6)
    assert training.diverged
    np.testing.assert_allclose(training.state, 1e300)


# what the user gets wrong


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_epochs": 0}, "num_epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"callback_every": 0}, "callback_every must be at least 1, got 0"),
        ({"subset": np.array([0, 10])}, r"subsets must lie in \[0, 10\), got 10 at index \(0, 1\)"),
        ({"subset": np.array([], int)}, "a training set must hold at least one example"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        train(KEY, look, jnp.int32(0), DATA, **({"num_epochs": 2} | settings))


@pytest.mark.parametrize("data", [(INPUTS, TARGETS[:9]), (INPUTS[:0], TARGETS[:0]), (INPUTS, 1.0), ()])
def test_data_must_be_of_the_same_examples(data):
    with pytest.raises(
        ValueError, match="the data must be arrays of the same number of examples, at least 1, got shapes"
    ):
        train(KEY, look, jnp.int32(0), data, num_epochs=1)


@pytest.mark.usefixtures("as_a_user_sees")
def test_there_is_one_state_and_one_subset_per_key():
    with pytest.raises(ValueError, match=r"states.rate must have a leading axis of 2 models, got shape \(\)"):
        train_many(KEYS[:2], descend, Regression(jnp.zeros((2, 3)), jnp.asarray(0.1)), DATA, num_epochs=1)
    with pytest.raises(ValueError, match=r"subsets must have a leading axis of 2 models, got shape \(3, 4\)"):
        train_many(KEYS[:2], look, jnp.zeros(2), DATA, num_epochs=1, subsets=np.zeros((3, 4), int))


@pytest.mark.usefixtures("as_a_user_sees")
def test_an_unknown_axis_lists_the_choices():
    with pytest.raises(ValueError, match="unknown axis 'pmap'; choose one of 'auto', 'vmap', 'map'"):
        train_many(KEYS, look, jnp.zeros(5), DATA, num_epochs=1, axis="pmap")
