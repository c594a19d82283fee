"""The ordinary system: one network, one optimizer, one loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl import networks
from infotheory_dl.training import (
    Batch,
    Evaluation,
    half_squared_error,
    masked_mean,
    predict,
    supervised,
    train,
    train_many,
)

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(12, 4))
LABELS = (INPUTS @ RANDOM.normal(size=(4, 3))).argmax(1)
PARAMS = {"weight": jnp.asarray(RANDOM.normal(size=(4, 3))), "bias": jnp.zeros(3)}
ONE_HOT = np.eye(3)[LABELS]


def affine(params, inputs):
    return inputs @ params["weight"] + params["bias"]


def test_a_training_is_the_plain_loop_of_its_optimizer():
    optimizer = optax.adam(1e-2)
    system = supervised(affine, optimizer, optax.softmax_cross_entropy_with_integer_labels)
    training = train(KEY, system.step, system.init(PARAMS), (INPUTS, LABELS), num_epochs=3)

    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(affine(params, INPUTS), LABELS).mean()

    params, state = PARAMS, optimizer.init(PARAMS)
    for step in range(3):
        np.testing.assert_allclose(training.metrics["loss"][step, 0], loss(params), rtol=1e-12)
        accuracy = np.mean(np.asarray(affine(params, INPUTS).argmax(1)) == LABELS)
        np.testing.assert_allclose(training.metrics["accuracy"][step, 0], accuracy, rtol=1e-12)
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), training.state.params, params)


def test_a_short_batch_weighs_only_its_own_examples():
    system = supervised(affine, optax.sgd(0.1), half_squared_error)
    state = system.init(PARAMS)
    short = train(KEY, system.step, state, (INPUTS, ONE_HOT), num_epochs=1, batch_size=8)
    rows = train(
        KEY, lambda state, batch, key: (state, {"rows": batch.indices}), state, (INPUTS,), num_epochs=1, batch_size=8
    ).metrics["rows"][0]
    params = PARAMS
    for batch in (rows[0], rows[1, :4]):
        gradient = jax.grad(
            lambda p, b=batch: half_squared_error(affine(p, INPUTS[b]), jnp.asarray(ONE_HOT[b])).mean()
        )(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), short.state.params, params)


def test_an_evaluation_reports_loss_and_accuracy_on_its_own_data():
    system = supervised(
        affine, optax.sgd(0.0), optax.softmax_cross_entropy_with_integer_labels, evaluation_batch_size=3
    )
    evaluation = Evaluation(system.evaluate, (INPUTS[:5], LABELS[:5]), maximize="accuracy")
    training = train(KEY, system.step, system.init(PARAMS), (INPUTS, LABELS), num_epochs=2, evaluation=evaluation)
    outputs = affine(PARAMS, INPUTS[:5])
    losses = optax.softmax_cross_entropy_with_integer_labels(outputs, LABELS[:5])
    np.testing.assert_allclose(training.evaluations["loss"], [losses.mean()] * 2, rtol=1e-12)
    np.testing.assert_allclose(training.evaluations["accuracy"], [(outputs.argmax(1) == LABELS[:5]).mean()] * 2)
    assert training.best.epoch == 1


def test_settings_of_the_optimizer_can_differ_by_model():
    rates = jnp.array([0.0, 0.1, 0.3])
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=0.0)
    system = supervised(affine, optimizer, half_squared_error)

    def start(rate):
        state = system.init(PARAMS)
        return state._replace(optimizer=state.optimizer._replace(hyperparams={"learning_rate": rate}))

    data = (INPUTS, ONE_HOT)
    many = train_many(jax.random.split(KEY, 3), system.step, jax.vmap(start)(rates), data, num_epochs=4)
    for model, rate in enumerate(rates):
        plain = supervised(affine, optax.sgd(float(rate)), half_squared_error)
        alone = train(KEY, plain.step, plain.init(PARAMS), data, num_epochs=4).state.params
        np.testing.assert_allclose(many.state.params["weight"][model], alone["weight"], rtol=1e-12)


@pytest.mark.parametrize(
    ("outputs", "targets", "threshold", "accuracy"),
    [
        ([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]], [1, 0, 0], 0.5, 2 / 3),
        ([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]], [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], 0.5, 2 / 3),
        ([[0.4], [0.6], [0.2]], [[0.0], [1.0], [1.0]], 0.5, 2 / 3),
        ([[0.4], [0.6], [0.2]], [[0.0], [1.0], [1.0]], 0.0, 2 / 3),
        ([[-0.4], [0.6], [0.2]], [[0.0], [1.0], [1.0]], 0.0, 1.0),
    ],
)
def test_accuracy_knows_labels_one_hot_targets_and_single_outputs(outputs, targets, threshold, accuracy):
    system = supervised(
        lambda params, inputs: inputs, optax.sgd(0.0), lambda outputs, targets: outputs[:, 0], threshold=threshold
    )
    metrics = system.evaluate(system.init({}), (jnp.array(outputs), jnp.array(targets)))
    np.testing.assert_allclose(metrics["accuracy"], accuracy)


def test_the_steps_of_sequences_that_their_mask_hides_do_not_count():
    # three sequences of 4, 3 and 1 steps are trained on as their eight steps are, one by one
    counted = np.arange(4) < np.array([4, 3, 1])[:, None]
    inputs, labels = np.full((3, 4, 4), np.nan), np.zeros((3, 4), int)
    inputs[counted], labels[counted] = INPUTS[:8], LABELS[:8]
    inputs = np.nan_to_num(inputs, nan=1e3)
    system = supervised(affine, optax.sgd(0.1), optax.softmax_cross_entropy_with_integer_labels)
    plan = {"num_epochs": 2, "evaluation": Evaluation(system.evaluate)}
    sequences = train(KEY, system.step, system.init(PARAMS), (inputs, labels, counted), **plan)
    steps = train(KEY, system.step, system.init(PARAMS), (INPUTS[:8], LABELS[:8]), **plan)
    close = lambda ours, expected: np.testing.assert_allclose(ours, expected, rtol=1e-10)
    jax.tree.map(close, sequences.state.params, steps.state.params)
    jax.tree.map(close, sequences.metrics, steps.metrics)
    jax.tree.map(close, sequences.evaluations, steps.evaluations)


def test_a_sequence_that_only_fills_up_a_batch_does_not_count():
    mask = np.array([[True, True], [True, False]])
    system = supervised(affine, optax.sgd(0.1), optax.softmax_cross_entropy_with_integer_labels)
    inputs, labels = INPUTS[:4].reshape(2, 2, 4), LABELS[:4].reshape(2, 2)
    batch = Batch((inputs, jnp.asarray(labels), mask), jnp.array([False, True]), jnp.arange(2))
    _, metrics = system.step(system.init(PARAMS), batch, KEY)
    one_step = optax.softmax_cross_entropy_with_integer_labels(affine(PARAMS, INPUTS[2:3]), LABELS[2:3])
    np.testing.assert_allclose(metrics["loss"], one_step[0], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 1, 5, 12, 100])
def test_predictions_do_not_depend_on_the_batches(batch_size):
    outputs = predict(affine, PARAMS, INPUTS, batch_size=batch_size)
    np.testing.assert_allclose(outputs, affine(PARAMS, INPUTS), rtol=1e-12)


def test_half_the_squared_error_is_summed_over_outputs():
    errors = half_squared_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(errors, [2.5, 12.5])


@pytest.mark.usefixtures("as_a_user_sees")
def test_targets_without_an_axis_of_outputs_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(12, 3\) and \(12,\)"):
        half_squared_error(affine(PARAMS, INPUTS), jnp.asarray(LABELS, float))


def test_a_masked_mean_leaves_out_what_the_mask_hides():
    values = jnp.array([1.0, 2.0, jnp.nan])
    np.testing.assert_allclose(masked_mean(values, jnp.array([True, True, False])), 1.5)


def test_batch_norm_learns_its_moments_beside_the_parameters():
    network = networks.MLP((5,), 3, batch_norm=True)
    variables = network.init(KEY, INPUTS)
    loss = optax.softmax_cross_entropy_with_integer_labels
    # weight decay would shrink the moments, were they taken for parameters
    optimizer = optax.adamw(1e-2, weight_decay=0.5)
    system = supervised(network, optimizer, loss)
    training = train(KEY, system.step, system.init(variables), (INPUTS, LABELS), num_epochs=3)

    def objective(params, moments):
        outputs, changed = network.apply(
            {"params": params, "batch_stats": moments}, INPUTS, train=True, mutable=["batch_stats"]
        )
        return loss(outputs, LABELS).mean(), changed["batch_stats"]

    params, moments = variables["params"], variables["batch_stats"]
    state = optimizer.init(params)
    for _ in range(3):
        gradient, moments = jax.grad(objective, has_aux=True)(params, moments)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    # Adam makes a full step of what rounding leaves of the gradient of a bias before batch norm, which is zero
    params["Dense_0"]["bias"] = training.state.params["Dense_0"]["bias"]
    expected = {"params": params, "batch_stats": moments}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), training.state.variables, expected)
