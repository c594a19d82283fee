"""All methods by name, on the training engine."""

import functools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import networks, training
from infotheory_dl.label_noise import METHODS, MethodName, Plan, leave_one_out_targets, losses, make_method
from infotheory_dl.linearization import kernel_eigen

NETWORK = networks.MLP((8,), 3)
TRANSITION = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


def corners(num_examples=90):
    """Points around the corners of a simplex, and which."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, num_examples)
    return np.eye(3)[labels] + 0.2 * rng.normal(size=(num_examples, 3)), labels


def trained(name, num_epochs=40, **settings):
    x, labels = corners()
    method = make_method(name, NETWORK, (3,), transition=TRANSITION, num_examples=90, num_classes=3)
    state = method.system.init(jax.random.key(0), learning_rate=0.02, **settings)
    result = training.train(
        jax.random.key(1), method.system.step, state, (x, labels), num_epochs=num_epochs, batch_size=32
    )
    assert not result.diverged
    return method, result.state


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_what_is_right(name):
    method, state = trained(name)
    x, labels = corners()
    # the determinant of dmi does not tell which class is which
    guesses = np.asarray(method.classifier(state.variables, x)).argmax(1)
    table = np.zeros((3, 3), int)
    np.add.at(table, (labels, guesses), 1)
    right = table.max(1).sum() if name == "dmi" else np.trace(table)
    assert right >= 85


def test_rates_and_penalties_are_leaves_of_the_state():
    method = make_method("limit_laplace", NETWORK, (3,))
    init = functools.partial(method.system.init, jax.random.key(0))
    begin = lambda rate, penalty: init(learning_rate=rate, gradient_weight_decay=penalty)
    states = jax.vmap(begin)(jnp.array([0.1, 0.2]), jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(states.settings["gradient_weight_decay"], [1, 3])
    for part in states.networks:
        np.testing.assert_allclose(part.optimizer.hyperparams["learning_rate"], [0.1, 0.2])


def test_weights_decay_but_biases_do_not():
    method = make_method("cross_entropy", NETWORK, (3,))
    state = method.system.init(jax.random.key(0), learning_rate=0.1, weight_decay=1e9)
    x, labels = corners()
    batch = training.Batch((x, labels), jnp.ones(90, bool), jnp.arange(90))
    moved, _ = method.system.step(state, batch, jax.random.key(1))
    before, after = state.params["Dense_0"], moved.params["Dense_0"]
    # against so large a decay the loss is nothing: Adam goes one rate towards zero
    np.testing.assert_allclose(after["kernel"], before["kernel"] - 0.1 * np.sign(before["kernel"]), atol=1e-6)
    mean_loss = lambda params: losses.cross_entropy(method.classifier({"params": params}, x), labels).mean()
    steps = np.sign(jax.grad(mean_loss)(state.params)["Dense_0"]["bias"])
    np.testing.assert_allclose(after["bias"], before["bias"] - 0.1 * steps, atol=1e-5)


def test_a_trained_classifier_is_where_the_predictor_or_else_the_classifier_begins():
    _, state = trained("cross_entropy")
    begun = make_method("limit_gaussian", NETWORK, (3,)).system.init(jax.random.key(3), state.variables)
    jax.tree.map(np.testing.assert_array_equal, begun.networks[1].variables, state.variables)
    begun = make_method("co_teaching", NETWORK, (3,)).system.init(jax.random.key(3), state.variables)
    jax.tree.map(np.testing.assert_array_equal, begun.variables, state.variables)
    begun = make_method("dmi", NETWORK, (3,)).system.init(jax.random.key(3), state.variables)
    jax.tree.map(np.testing.assert_array_equal, begun.variables, state.variables)


def test_equal_arguments_give_one_method_for_which_nothing_is_compiled_anew():
    assert make_method("limit_dot", NETWORK, (3,)) is make_method("limit_dot", networks.MLP((8,), 3), (3,))
    # what it does not take does not count
    assert make_method("limit_dot", NETWORK, (3,)) is make_method("limit_dot", NETWORK, (3,), num_examples=5)


def test_a_method_begins_with_the_labels_as_they_are_unless_its_recipe_says_otherwise():
    assert tuple(METHODS) == get_args(MethodName)
    labels, rows = np.array([[0, 1], [1, 1], [2, 0]]), np.array([[0, 1], [1, 2]])
    eigen = kernel_eigen(np.eye(2) + 0.5)
    plan = Plan(labels, rows, 3, lambda variant: eigen, lambda: "variables")
    starts = {name: recipe.prepare(plan) for name, recipe in METHODS.items()}
    assert [name for name, start in starts.items() if start.variables is not None] == ["dmi"]
    soft = starts.pop("leave_one_out")
    assert all(start.labels is labels for start in starts.values())
    for variant in range(2):
        targets = leave_one_out_targets(eigen, labels[rows[variant], variant], 3).probabilities
        np.testing.assert_allclose(soft.labels[rows[variant], variant], targets, rtol=1e-6)
        left = np.setdiff1d(np.arange(3), rows[variant])
        np.testing.assert_array_equal(soft.labels[left, variant], np.eye(3)[labels[left, variant]])


def test_a_recipe_takes_its_own_settings_of_those_of_all():
    of_all = {"learning_rate": 0.1, "forget_rate": 0.2, "gradient_weight_decay": 3.0}
    assert METHODS["co_teaching"].taken(of_all) == {"learning_rate": 0.1, "forget_rate": 0.2}
    assert METHODS["penalize"].taken(of_all) == {"learning_rate": 0.1, "gradient_weight_decay": 3.0}
    assert METHODS["dmi"].taken(of_all) == {"learning_rate": 0.1}


def test_a_transition_may_be_an_array_and_must_be_one_of_distributions():
    of_array = make_method("forward_correction", NETWORK, [3], transition=np.array(TRANSITION))
    assert of_array is make_method("forward_correction", NETWORK, (3,), transition=TRANSITION)
    with pytest.raises(ValueError, match=r"row 0 of transition must be a distribution, but adds up to 1\.1"):
        make_method("forward_correction", NETWORK, (3,), transition=((0.8, 0.1, 0.2), *TRANSITION[1:]))


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_a_method_lacks_is_said():
    with pytest.raises(ValueError, match="unknown method 'limit'; choose one of 'cross_entropy', 'mean_squared_error'"):
        make_method("limit", NETWORK, (3,))
    with pytest.raises(ValueError, match="forward_correction needs a transition: the known one, or that of"):
        make_method("forward_correction", NETWORK, (3,))
    with pytest.raises(ValueError, match="early_learning remembers every example: it needs num_examples and"):
        make_method("early_learning", NETWORK, (3,))
    with pytest.raises(TypeError, match="penalize needs the last layer of a flax module, got tuple for a classifier"):
        make_method("penalize", (NETWORK.init, NETWORK.apply), (3,))
