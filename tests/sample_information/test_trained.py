"""The information in trained networks is the derivative of their training, whichever way it is taken."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import spearmanr

from infotheory_dl import sample_information, training
from infotheory_dl.linearization import response
from infotheory_dl.sample_information import (
    StepSizeError,
    _passes,
    _spot_checks,
    datamodels,
    leave_one_out,
    linear_datamodeling_score,
    retrain_without,
    seed_shares,
    trained_information,
    unlearn,
)

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
NUM_EXAMPLES = 12
INPUTS, TARGETS = RANDOM.normal(size=(NUM_EXAMPLES, 4)), RANDOM.normal(size=(NUM_EXAMPLES, 2))
DATA, REFERENCE = (INPUTS, TARGETS), RANDOM.normal(size=(3, 4))
STARTS = {"inner": jnp.asarray(RANDOM.normal(size=(2, 4, 5))), "outer": jnp.asarray(RANDOM.normal(size=(2, 5, 2)))}
START = jax.tree.map(lambda leaf: leaf[0], STARTS)
SETTINGS = {"num_epochs": 4, "batch_size": 5}


def network(params, inputs):
    return jnp.tanh(inputs @ params["inner"]) @ params["outer"]


SYSTEM = training.supervised(network, optax.sgd(0.05, momentum=0.9), training.half_squared_error)
STATE = SYSTEM.init(START)
ARGUMENTS = (KEY, SYSTEM, STATE, DATA, REFERENCE)


@functools.cache
def scores(method, at="full"):
    keep = method != "projections"
    settings = {"method": method, "at": at, "keep_output_changes": keep, "num_projections": 256, "num_retrained": 0}
    return trained_information(*ARGUMENTS, **settings, **SETTINGS)


@functools.cache
def trained_with(*changes):
    """The parameters and outputs with the weights of one example after the other changed, for each of the changes."""
    weights = jnp.concatenate([jnp.ones((NUM_EXAMPLES, NUM_EXAMPLES)) + c * jnp.eye(NUM_EXAMPLES) for c in changes])
    count = len(weights)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), STATE)
    keys = jnp.broadcast_to(KEY, (count,))
    params = training.train_many(keys, SYSTEM.step, states, DATA, weights=weights, **SETTINGS).state.params
    rows = jnp.concatenate([leaf.reshape(count, -1) for leaf in jax.tree.leaves(params)], axis=1)
    outputs = jax.vmap(network, in_axes=(0, None))(params, jnp.asarray(REFERENCE))
    return rows.reshape(len(changes), NUM_EXAMPLES, -1), outputs.reshape(len(changes), NUM_EXAMPLES, 3, 2)


@pytest.mark.parametrize(("at", "centre"), [("full", 0.0), ("midpoint", -0.5)])
def test_derivatives_are_finite_differences(at, centre):
    step = 1e-5
    params, outputs = trained_with(centre - step, centre + step)
    found = scores("forward", at)
    np.testing.assert_allclose(found.output_changes, (outputs[0] - outputs[1]) / (2 * step), rtol=1e-6, atol=1e-9)
    expected = np.square((params[0] - params[1]) / (2 * step)).sum(1)
    np.testing.assert_allclose(found.weight_change, expected, rtol=1e-6)
    np.testing.assert_allclose(found.output_change, np.square(found.output_changes).sum(-1).mean(-1), rtol=1e-12)


def test_forward_and_reverse_passes_agree():
    np.testing.assert_allclose(scores("reverse").output_changes, scores("forward").output_changes, rtol=1e-10, atol=0)
    np.testing.assert_allclose(scores("reverse").output_change, scores("forward").output_change, rtol=1e-10)


def test_projections_are_unbiased():
    exact, estimated = scores("forward"), scores("projections")
    for name in ("weight", "output"):
        error = getattr(estimated, f"{name}_standard_error")
        truth, estimate = getattr(exact, f"{name}_change"), getattr(estimated, f"{name}_change")
        assert (np.abs(estimate - truth) <= 3 * error).all()
        # sums of few numbers have shorter tails than those of many, whose squares vary by twice their square
        np.testing.assert_allclose((error / truth).mean(), np.sqrt(2 / 256), rtol=0.35)
    assert scores("reverse").output_standard_error is None
    np.testing.assert_allclose(scores("reverse").weight_change, exact.weight_change, rtol=0.5)


def test_gradient_descent_on_a_linear_network_is_the_closed_form():
    rate, steps = 0.02, 30
    inputs, start = INPUTS @ RANDOM.normal(size=(4, 15)), RANDOM.normal(size=(15, 2))
    references = REFERENCE @ RANDOM.normal(size=(4, 15))
    inputs, references = inputs + RANDOM.normal(size=inputs.shape), references + RANDOM.normal(size=references.shape)

    def outputs_of(weights):
        """Of the training in closed form, in which an example of weight w is a row of length √w."""
        lengths = jnp.sqrt(weights)[:, None]
        values, vectors = jnp.linalg.eigh((lengths * inputs) @ (lengths * inputs).T)
        residuals = vectors.T @ (lengths * (inputs @ start - TARGETS))
        followed = response(values, time=steps, rate=rate / weights.sum(), dynamics="discrete")
        return references @ (start - (lengths * inputs).T @ vectors @ (followed[:, None] * residuals))

    ones = jnp.ones(NUM_EXAMPLES)
    outputs, changes = outputs_of(ones), -jax.jacfwd(outputs_of)(ones)
    removed = leave_one_out(
        *(inputs @ inputs.T, inputs @ start, TARGETS, references @ inputs.T),
        time=steps,
        learning_rate=rate,
        dynamics="discrete",
    )
    without = outputs_of(ones.at[3].set(1e-18)) - outputs
    np.testing.assert_allclose(without, removed.output_changes[3], rtol=1e-6)

    system = training.supervised(lambda w, x: x @ w, optax.sgd(rate), training.half_squared_error)
    found = trained_information(
        KEY,
        system,
        system.init(start),
        (inputs, TARGETS),
        references,
        num_epochs=steps,
        at="full",
        method="reverse",
        num_projections=2,
        keep_output_changes=True,
    )
    np.testing.assert_allclose(found.output_changes, jnp.moveaxis(changes, -1, 0), rtol=1e-8, atol=1e-12)


def test_the_midpoint_is_nearer_to_retraining():
    truth = retrain_without(*ARGUMENTS, np.arange(NUM_EXAMPLES)[:, None], **SETTINGS)
    params, outputs = trained_with(-1.0, 0.0)
    np.testing.assert_allclose(truth.output_changes, outputs[0] - outputs[1], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(truth.weight_change, np.square(params[0] - params[1]).sum(1), rtol=1e-9)
    full, midpoint = (
        np.abs(scores("forward", at).output_changes - truth.output_changes).mean() for at in ("full", "midpoint")
    )
    assert midpoint < full / 3


def test_scores_are_checked_by_really_leaving_examples_out():
    truth = retrain_without(*ARGUMENTS, np.arange(NUM_EXAMPLES)[:, None], **SETTINGS)
    found = trained_information(*ARGUMENTS, num_retrained=NUM_EXAMPLES, **SETTINGS)
    np.testing.assert_array_equal(np.sort(found.agreement.examples), np.arange(NUM_EXAMPLES))
    for score in ("weight_change", "output_change"):
        expected = spearmanr(getattr(found, score), getattr(truth, score)).statistic
        np.testing.assert_allclose(getattr(found.agreement, score), expected, rtol=1e-6)
    assert scores("forward").agreement is None
    assert [_spot_checks.number_checked(*sizes) for sizes in ((79, 99), (80, 99), (999, 99), (999, 10))] == [
        0,
        8,
        24,
        10,
    ]


@pytest.mark.usefixtures("as_a_user_sees")
def test_scores_that_retraining_contradicts_are_warned_of():
    plan, problem = _passes.checked(
        *ARGUMENTS, measure=None, shared=None, passes_at_once=None, num_epochs=4, batch_size=SETTINGS["batch_size"]
    )
    rows, found = np.arange(NUM_EXAMPLES), scores("forward", "midpoint")
    with pytest.warns(UserWarning, match=r"of only -.* leaving out 12 of the examples .*: take smooth units"):
        _spot_checks.check_by_retraining(plan, problem, rows, found.weight_change, -found.output_change, NUM_EXAMPLES)


def test_what_a_group_leaves_is_predicted_to_second_order():
    groups = [[0], [1, 2]]
    unlearned = unlearn(*ARGUMENTS, groups, retrain=True, **SETTINGS)
    truth = retrain_without(*ARGUMENTS, groups, **SETTINGS)
    np.testing.assert_allclose(unlearned.retrained - unlearned.outputs, truth.output_changes, rtol=1e-9, atol=1e-14)
    summed = scores("forward").output_changes[1:3].sum(0)
    np.testing.assert_allclose(unlearned.first_order[1] - unlearned.outputs, summed, rtol=1e-9)
    midway = scores("forward", "midpoint").output_changes[0]
    np.testing.assert_allclose(unlearned.second_order[0] - unlearned.outputs, midway, rtol=1e-9)
    lengths = lambda changes: np.sqrt(np.square(changes).sum((1, 2)))
    misses = lengths(unlearned.second_order - unlearned.retrained) / lengths(truth.output_changes)
    np.testing.assert_allclose(unlearned.error, misses, rtol=1e-9)
    assert (unlearned.error < unlearned.first_order_error).all()


def test_datamodels_predict_groups():
    models = datamodels(*ARGUMENTS, **SETTINGS)
    np.testing.assert_allclose(models.output_changes, scores("forward").output_changes, rtol=1e-10)
    groups = [RANDOM.permutation(NUM_EXAMPLES)[:2] for _ in range(12)]
    truth = retrain_without(*ARGUMENTS, groups, **SETTINGS)
    np.testing.assert_allclose(models.without(groups)[0], models.output_changes[groups[0]].sum(0), rtol=1e-12)
    kept = np.ones((1, NUM_EXAMPLES))
    kept[0, groups[0]] = 0
    np.testing.assert_allclose(models.at(kept), models.outputs + models.without(groups[:1]), rtol=1e-12)
    assert linear_datamodeling_score(models.output_changes, truth.output_changes, groups) > 0.85


@pytest.mark.parametrize(("backend", "mebibytes"), [("cpu", 16), ("gpu", 256)])
def test_as_many_passes_go_side_by_side_as_the_device_bears(monkeypatch, backend, mebibytes):
    def step(state, batch, key):
        # so many mebibytes, several times
        large = jnp.ones((mebibytes, 2**16, 2))
        return state + jnp.exp(large * batch.weights.sum()).sum() + jnp.zeros_like(large).mean(), {}

    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    plan, _ = _passes.checked(*ARGUMENTS, measure=None, shared=None, passes_at_once=None, **SETTINGS)
    assert plan.at_once == 16
    shapes = jnp.zeros(()), training.Batch(DATA, np.ones(12, bool), np.arange(12), None, np.ones(12)), KEY
    assert _passes.passes_side_by_side(plan.course._replace(step=step), *shapes) in range(2, 6)


@pytest.mark.filterwarnings("ignore:the scores have a rank correlation")  # of two examples
def test_seeds_are_a_model_axis():
    states, keys = jax.vmap(SYSTEM.init)(STARTS), jax.random.split(KEY, 2)
    settings = {"at": "full", "examples": [2, 0], "num_retrained": 2, **SETTINGS}
    both = trained_information(keys, SYSTEM, states, DATA, REFERENCE, sigma=0.5, **settings)
    assert both.weight_change.shape == (2, 2)
    np.testing.assert_allclose(both.weight_information, 2 * both.weight_change, rtol=1e-12)
    own = trained_information(keys[0], SYSTEM, STATE, DATA, REFERENCE, **settings)
    assert both.agreement.output_change.shape == (2,)
    np.testing.assert_allclose(both.agreement.output_change[0], own.agreement.output_change)
    np.testing.assert_allclose(both.output_change[0], own.output_change, rtol=1e-10)


def test_shares_of_examples_and_seeds_add_up():
    of_examples, of_seeds, of_both = (RANDOM.normal(size=shape) for shape in ((1, 4000), (60, 1), (60, 4000)))
    shares = seed_shares(3 * of_examples + of_seeds + 2 * of_both)
    np.testing.assert_allclose(shares[1:], np.array([9, 1, 4]) / 14, atol=0.03)
    np.testing.assert_allclose(sum(shares[1:]), 1, rtol=1e-12)


def test_the_cheapest_method_is_taken():
    passes = lambda **settings: int(trained_information(*ARGUMENTS, **SETTINGS, **settings).passes)
    assert passes(examples=[3]) == 1
    assert passes(at="full", num_projections=256) == NUM_EXAMPLES
    assert passes(at="full", num_projections=3) == 6


def counting(state, batch, key):
    """Counts examples that are far off, by which it weights the next step."""
    inputs, targets = batch.data
    errors = inputs @ state["params"] - targets
    gradient = inputs.T @ (errors * batch.weights[:, None])
    return {"params": state["params"] - 0.01 * gradient, "far": state["far"] + (errors > 1).sum()}, {}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (counting, r"state\['far'\], of int64, depends on the parameters, and whole numbers have no derivative"),
        (lambda state, batch, key: (state, {}), "does not look at batch.weights, so that no example's weight changes"),
    ],
)
def test_steps_without_derivatives_are_refused(step, message):
    system = SYSTEM._replace(step=step, predict=lambda state, inputs: inputs @ state["params"])
    state = {"params": jnp.zeros((4, 2)), "far": jnp.zeros((), int)}
    with pytest.raises(ValueError, match=message):
        trained_information(KEY, system, state, DATA, REFERENCE, num_epochs=2)


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        (optax.sign_sgd(0.01), ValueError, "zero: what it makes of the gradients has none, such as their signs"),
        (optax.adam(0.01), ValueError, "the first step has no finite derivative.* set eps_root"),
        (optax.sgd(1.2), StepSizeError, "the derivatives of the training explode"),
        (optax.sgd(1e9), StepSizeError, "the training diverges: take a smaller learning rate"),
    ],
)
@pytest.mark.filterwarnings("ignore:the training takes sign")
def test_trainings_without_derivatives_are_refused(optimizer, error, message):
    system = training.supervised(network, optimizer, training.half_squared_error)
    # a pixel that is always black
    inputs = INPUTS * [0, 1, 1, 1]
    with pytest.raises(error, match=message):
        trained_information(KEY, system, system.init(START), (inputs, TARGETS), REFERENCE, at="full", num_epochs=40)


@pytest.mark.usefixtures("as_a_user_sees")
def test_signs_are_warned_of():
    from infotheory_dl.training._smooth import require_smooth

    batch = training.Batch(DATA, np.ones(12, bool), np.arange(12), None, np.ones(12))
    system = training.supervised(network, optax.lion(0.01), training.half_squared_error)
    with pytest.warns(UserWarning, match="the training takes sign of what depends on the weights of the examples"):
        require_smooth(system.step, system.init(START), batch, KEY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "reverse"}, "at the midpoint every example has a training of its own"),
        ({"method": "projections", "at": "full", "keep_output_changes": True}, "for themselves take another method"),
        ({"examples": [12]}, r"examples must lie in \[0, 12\), got 12"),
        ({"num_projections": 1}, "num_projections must be at least 2, got 1"),
        ({"num_retrained": 13}, "num_retrained must be 0, or from 2 to the 12 examples that have scores, got 13"),
        ({"sigma": 0.0}, "sigma must be positive, got 0.0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        trained_information(*ARGUMENTS, **settings, **SETTINGS)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"key": 0}, TypeError, r"key must be jax.random.key\(seed\), got 0"),
        ({"system": SYSTEM.step}, TypeError, "system must be a training.System, such as .* got function"),
        ({"state": START}, AttributeError, r"state is what system.init\(variables\) makes"),
        ({"data": (INPUTS.tolist(), TARGETS)}, TypeError, "data must be arrays, .* got data of float: of a list take"),
        ({"reference": DATA}, Exception, "by default it is the inputs of the network"),
        ({"reference": None}, TypeError, "reference must be arrays, or a tree of them, got none"),
        ({"data": (INPUTS[:1], TARGETS[:1])}, ValueError, "at least 2 of them, got 1"),
    ],
)
def test_what_is_no_training_is_refused(given, error, message):
    arguments = dict(zip(("key", "system", "state", "data", "reference"), ARGUMENTS, strict=True)) | given
    with pytest.raises(error, match=message):
        trained_information(**arguments, **SETTINGS)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize("groups", [3, [1, 2], [], {"first": [0]}])
def test_groups_are_lists_of_indices(groups):
    with pytest.raises(
        ValueError, match=r"groups must be lists of indices, at least one, such as \[\[0\], \[1, 2\]\], got"
    ):
        retrain_without(*ARGUMENTS, groups, **SETTINGS)


def test_two_examples_that_pull_against_each_other_do_not_explode():
    data = jnp.asarray([[1.0, 0, 0, 0], [1.0, 0, 0, 0]]), jnp.asarray([[1.0, 0.0], [-0.6, 0.0]])
    start = jax.tree.map(jnp.zeros_like, START) | {"inner": START["inner"]}
    found = trained_information(KEY, SYSTEM, SYSTEM.init(start), data, REFERENCE, num_epochs=2)
    assert (found.weight_change > 0).all()


def test_a_system_that_says_nothing_of_its_outputs_needs_a_measure():
    with pytest.raises(ValueError, match=r"give measure\(state, reference\)"):
        sample_information.datamodels(KEY, SYSTEM._replace(predict=None), STATE, DATA, REFERENCE, **SETTINGS)


@pytest.mark.parametrize("num_epochs", [13, 17])
def test_a_learning_rate_that_ends_in_a_root_has_derivatives_in_reverse_mode(num_epochs):
    schedule = optax.polynomial_schedule(0.1, 0.0, 0.5, num_epochs)
    system = training.supervised(network, optax.sgd(schedule), training.half_squared_error)

    def outputs(weights):
        state = training.unrolled(KEY, system.step, system.init(START), DATA, weights, num_epochs=num_epochs)
        return system.predict(state, REFERENCE).sum()

    ones = jnp.ones(NUM_EXAMPLES)
    _, pushed = jax.jvp(outputs, (ones,), (ones.at[0].set(0.5),))
    np.testing.assert_allclose(jax.grad(outputs)(ones) @ ones.at[0].set(0.5), pushed, rtol=1e-9, atol=1e-12)


def test_an_example_that_is_alone_in_its_batch_is_refused_where_its_weight_is_divided_by():
    alone = {"num_epochs": 1, "batch_size": 11}
    message = r"in 50% of the steps an example is alone in its batch.*weighting='fixed'"
    with pytest.raises(ValueError, match=message):
        trained_information(*ARGUMENTS, **alone)
    retrain_without(*ARGUMENTS, [[0]], **alone)
    fixed = training.supervised(
        network, optax.adam(0.01, eps_root=1e-8), training.half_squared_error, weighting="fixed"
    )
    arguments = (KEY, fixed, fixed.init(START), DATA, REFERENCE)
    assert (trained_information(*arguments, examples=[0, 1], num_retrained=0, **alone).weight_change > 0).all()


def test_a_training_that_goes_on_from_where_it_ended_does_not_explode():
    settings = {"num_epochs": 2000}
    system = training.supervised(lambda w, x: x @ w, optax.sgd(0.2), training.half_squared_error)
    begun = system.init(jnp.zeros((4, 2)))
    trained = training.train(KEY, system.step, begun, DATA, **settings).state
    arguments = (KEY, system, trained, DATA, REFERENCE)
    found = trained_information(*arguments, num_epochs=20, num_retrained=0)
    truth = retrain_without(*arguments, [[i] for i in range(NUM_EXAMPLES)], num_epochs=20)
    assert sample_information.agreement(found.output_change, truth.output_change).spearman > 0.9


def test_steps_that_choose_between_branches_are_followed():
    every_second = optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()
    system = training.supervised(network, every_second, training.half_squared_error)
    arguments = (KEY, system, system.init(START), DATA, REFERENCE)
    settings = {"num_epochs": 4, "batch_size": 6}
    found = datamodels(*arguments, method="forward", **settings)
    reverse = datamodels(*arguments, method="reverse", **settings)
    assert np.abs(found.output_changes).max() > 0
    # the gradients are added up in single precision
    np.testing.assert_allclose(found.output_changes, reverse.output_changes, rtol=1e-4, atol=1e-7)


def test_what_is_measured_must_have_derivatives():
    classes = lambda state, inputs: network(state.params, inputs).argmax(-1)
    with pytest.raises(TypeError, match=r"measure must return numbers that have derivatives, such as losses.* got int"):
        datamodels(*ARGUMENTS, measure=classes, **SETTINGS)
    is_first = lambda state, inputs: classes(state, inputs) == 0
    retrain_without(*ARGUMENTS, [[0]], measure=is_first, **SETTINGS)
    accuracy = lambda state, inputs: is_first(state, inputs).astype(float)
    with pytest.raises(ValueError, match="the derivative of what is measured is zero"):
        trained_information(*ARGUMENTS, measure=accuracy, **SETTINGS)


def test_an_example_without_a_gradient_changes_nothing():
    system = training.supervised(lambda w, x: x @ w, optax.sgd(0.1), training.half_squared_error, weighting="fixed")
    data = INPUTS.copy(), TARGETS
    data[0][3] = 0
    arguments = (KEY, system, system.init(jnp.zeros((4, 2))), data, REFERENCE)
    found = trained_information(*arguments, examples=[3], num_retrained=0, **SETTINGS)
    assert found.output_change.tolist() == found.weight_change.tolist() == [0.0]


def test_projections_of_each_model_have_signs_of_their_own():
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, *leaf.shape)), STATE)
    settings = {"at": "full", "method": "projections", "num_projections": 4, "num_retrained": 0, "num_epochs": 4}
    found = trained_information(jax.random.split(KEY, 2), SYSTEM, states, DATA, REFERENCE, **settings)
    # of full batches the trainings are the same
    assert (np.abs(found.weight_change[0] / found.weight_change[1] - 1) > 1e-3).all()


def test_trainings_that_diverge_are_refused_where_they_are_really_run():
    system = training.supervised(lambda w, x: x @ w, optax.sgd(1.0), training.half_squared_error)
    small, large = np.full((6, 1), 0.01), np.full((6, 1), 1.6)
    data = np.concatenate([small, large]), np.ones((12, 1))
    arguments = (KEY, system, system.init(jnp.zeros((1, 1))), data, np.ones((1, 1)))
    settings = {"num_epochs": 3000}
    with pytest.raises(StepSizeError, match=r"training without groups\[1\] diverges"):
        unlearn(*arguments, [[0], range(6)], retrain=True, **settings)
    steep = (*arguments[:3], (4 * data[0], data[1]), arguments[4])
    with pytest.raises(StepSizeError, match="training on all examples diverges: take a smaller learning rate"):
        retrain_without(*steep, [[0]], **settings)
