"""Training of nodes: steps, schedules and stopping as published, seeds beside each other, and what choices rest on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import mixhop, training
from infotheory_dl.mixhop.nodes import KnownNodes, node_system
from tests.conftest import reference
from tests.mixhop import cases

KEY = jax.random.key(0)
NETWORK = mixhop.MixHop((0, 1, 2), ((4, 3, 5), (0, 3, 3)), 3, input_dropout=0.2, hidden_dropout=0.3)
LABELS = np.arange(24) % 3


def masks():
    train = cases.mask()
    rest = np.flatnonzero(~train)
    validation, test = (np.isin(np.arange(24), part) for part in (rest[:9], rest[9:]))
    return train, validation, test


def trained(network=NETWORK, labels=None, key=KEY, **settings):
    settings = {"num_seeds": 3, "num_steps": 12, "patience": 2, "l2": 5e-3, "lasso": 5e-3} | settings
    arrays = cases.small()
    given = cases.graph(), arrays["X"].astype(float), arrays["y"] if labels is None else labels, masks()
    return mixhop.train_nodes(key, network, *given, **settings)


def of_table(state, batch, key):
    return state + 1, {}


def look_up(state, data):
    return {"validation": data[state - 1]}


@pytest.mark.parametrize("tie", ["first", "latest"])
def test_stopping_and_the_best_step_are_those_of_the_table(tie):
    table = reference("mixhop_tables")
    for case in range(4):
        name = lambda what, case=case: f"stop/{case}/{what}"
        values, patience = table[name("val")], int(table[name("patience")])
        run = training.train(
            KEY,
            of_table,
            jnp.int32(0),
            jnp.zeros(1),
            num_epochs=len(values),
            evaluation=training.Evaluation(look_up, values, maximize="validation", patience=patience + 1, tie=tie),
        )
        assert run.best.epoch - 1 == table[name(f"{tie}_best_step")]
        assert run.state - 1 == table[name(f"{tie}_last_step")]


def test_learning_rates_are_those_of_the_table():
    table = reference("mixhop_tables")
    for name in ("cora", "citeseer", "pubmed", "short"):
        rate, every, steps, decay = table[f"lr/{name}_args"]
        ours = mixhop.learning_rates(rate, num_steps=int(steps), decay_every=int(every), decay=decay)
        np.testing.assert_allclose(ours, table[f"lr/{name}"], rtol=1e-12)


def test_twenty_steps_of_the_system_are_the_published_ones():
    arrays = cases.small()
    network = mixhop.MixHop((0, 1, 2), ((4, 3, 5), (0, 3, 3)), 3, input_dropout=0.0, hidden_dropout=0.0)
    system = node_system(network, mixhop.Preset(0.5, 40, 0.01, 400, 200, 0.0, 0.0), False)
    data = KnownNodes(arrays["y"], *masks())
    state = system.init({"params": cases.weighted_sum_params("psum_params")}, l2=5e-3, lasso=5e-3)
    run = training.train(
        KEY, system.step, state, data, shared=(cases.graph(), arrays["X"].astype(float)), num_epochs=20
    )
    np.testing.assert_allclose(run.metrics["loss"][:, 0], arrays["psum_relu/sgd20_lr0.5_total_loss"], rtol=1e-9)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10),
        run.state.state.params,
        cases.weighted_sum_params("psum_relu/sgd20_params"),
    )


def test_a_seed_beside_others_is_what_it_is_alone():
    beside, in_turn, alone = trained(axis="vmap"), trained(axis="map"), trained(num_seeds=1)
    for others in (in_turn, beside):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12),
            jax.tree.map(lambda leaf: leaf[:1], others),
            alone,
        )
    np.testing.assert_array_equal(beside.last_step, in_turn.last_step)
    np.testing.assert_array_equal(beside.last_step, np.minimum(beside.best_step + 3, 12))
    assert len(set(beside.last_step)) > 1, "seeds stop at steps of their own"
    for seed, (best, last) in enumerate(zip(beside.best_step, beside.last_step, strict=True)):
        assert beside.validation_accuracies[seed, best - 1] == beside.validation_accuracy[seed]
        assert beside.validation_accuracies[seed, :last].argmax() == best - 1
        assert np.isnan(beside.losses[seed, last:]).all()
    logits = mixhop.predict_nodes(NETWORK, beside.variables, cases.graph(), cases.small()["X"].astype(float))
    right = logits.argmax(-1) == cases.small()["y"]
    np.testing.assert_allclose(right[:, masks()[2]].mean(1), beside.test_accuracy)


def test_labels_of_test_nodes_change_nothing_that_is_chosen():
    labels = cases.small()["y"]
    flipped = np.where(masks()[2], (labels + 1) % 3, labels)
    ours, theirs = trained(axis="map"), trained(axis="map", labels=flipped)
    assert (ours.test_accuracies != theirs.test_accuracies).any()
    for name in ("variables", "best_step", "last_step", "losses", "validation_accuracies"):
        jax.tree.map(np.testing.assert_array_equal, getattr(ours, name), getattr(theirs, name))


def test_a_run_that_diverges_is_flagged_and_harms_no_other():
    with pytest.warns(UserWarning, match="1 of 3 trainings diverged: take a lower learning_rate"):
        runs = trained(axis="map", l2=np.array([5e-3, 1e300, 5e-3]))
    sound = trained(axis="map")
    np.testing.assert_array_equal(runs.diverged, [False, True, False])
    for ours, theirs in zip(jax.tree.leaves(runs), jax.tree.leaves(sound), strict=True):
        np.testing.assert_array_equal(ours[[0, 2]], theirs[[0, 2]])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(runs.variables))


def test_a_proximal_lasso_shortens_columns_or_makes_them_zero():
    # one step from the same parameters: descent on the rest of the loss, then columns as much shorter
    one_step = functools.partial(trained, axis="map", num_steps=1, num_seeds=1)
    plain = np.asarray(one_step(lasso=0.0).variables["params"]["layer_0"]["power_2"][0])
    norms = np.linalg.norm(plain, axis=0)
    lasso = np.median(norms)
    ours = one_step(lasso=lasso, proximal=True).variables["params"]["layer_0"]["power_2"][0]
    np.testing.assert_allclose(ours, plain * np.maximum(0, 1 - lasso / norms), rtol=1e-9, atol=1e-15)
    assert (np.linalg.norm(ours, axis=0) == 0).sum() == 3
    assert not trained(axis="map", lasso=lasso, proximal=True).diverged.any(), "and descent goes on from there"


def test_nodes_of_unknown_class_and_no_test_nodes_are_allowed():
    labels = np.where(masks()[2], -1, cases.small()["y"])
    arrays = cases.small()
    runs = mixhop.train_nodes(
        KEY, NETWORK, cases.graph(), arrays["X"], labels, (*masks()[:2], None), num_steps=2, num_seeds=1, axis="map"
    )
    assert np.isnan(runs.test_accuracy).all()
    assert np.isfinite(runs.validation_accuracy).all()


@pytest.mark.usefixtures("as_a_user_sees")
def test_a_network_may_be_given_lists():
    lists = mixhop.MixHop([0, 1, 2], [[4, 3, 5], [0, 3, 3]], 3, input_dropout=0.2, hidden_dropout=0.3)
    jax.tree.map(np.testing.assert_array_equal, trained(lists, axis="map"), trained(axis="map"))


def test_the_better_half_is_chosen_by_validation():
    runs = trained(axis="map")._replace(validation_accuracy=np.array([0.5, 0.7, 0.7]))
    np.testing.assert_array_equal(runs.better_half, [1, 2])


MASKS = masks()


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"preset": "fast"}, ValueError, "unknown preset 'fast'; choose one of 'released', 'paper'"),
        ({"tie": "original"}, ValueError, "unknown tie 'original'; choose one of 'first', 'latest'"),
        ({"num_seeds": 0}, ValueError, "num_seeds must be at least 1, got 0"),
        ({"patience": -1}, ValueError, "patience must be at least 0, got -1"),
        ({"l2": -1.0}, ValueError, "l2 must be finite and not negative"),
        ({"l2": np.ones(2)}, ValueError, r"l2 must have the shape \(3,\), one for each seed"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive"),
        ({"labels": np.zeros(3, int)}, ValueError, r"labels must have the shape \(24,\), a class for each node"),
        ({"labels": np.full(24, 3)}, ValueError, "labels must lie below the 3 outputs of the network, got 3 at 0"),
        ({"labels": np.full(24, -1)}, ValueError, "the training mask holds 6 nodes of unknown class, the first is 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(settings, error, words):
    with pytest.raises(error, match=words):
        trained(**settings)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("features", "given", "words"),
    [
        (np.ones((3, 2)), MASKS, r"features must have the shape \(24, 2\), a row for each node"),
        (np.full((24, 2), np.nan), MASKS, "features has 48 of 48 entries that are NaN or infinite"),
        (np.ones((24, 2)), MASKS[:2], "masks must be three: of training, validation and test nodes, got 2"),
        (np.ones((24, 2)), (MASKS[0], MASKS[1][:3], None), r"the validation mask must have the shape \(24,\)"),
        (np.ones((24, 2)), (np.zeros(24, bool), *MASKS[1:]), "the training mask must hold at least one node"),
    ],
)
def test_what_has_not_a_row_for_each_node_is_refused_in_words(features, given, words):
    with pytest.raises(ValueError, match=words):
        mixhop.train_nodes(KEY, NETWORK, cases.graph(), features, LABELS, given)
