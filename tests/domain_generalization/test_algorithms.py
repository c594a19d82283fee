"""All algorithms by name, beside DomainBed's own updates of the same network."""

import functools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import domain_generalization as dg
from infotheory_dl import networks, training
from tests.conftest import reference

CASE = reference("domain_generalization_algorithms")
X, Y = (
    np.stack([CASE[f"data/{name}{domain}"] for domain in range(3)], axis=1) for name in "xy"
)  # (steps, domains, ..)
NETWORK = networks.MLP((6, 6), 6)
LAYERS = ("input", "hiddens.0", "output")
DOMAINS, ALL = np.repeat(np.arange(3)[:, None], 8, axis=1), np.ones((3, 8), bool)
DRAWS = {
    "mixup": dg.Mixing(CASE["Mixup/perms"], CASE["Mixup/betas"].reshape(5, 3)),
    "mldg": CASE["MLDG/perms"],
    "causirl_coral": CASE["CausIRL_CORAL/ints"].reshape(5, 3),
    "causirl_mmd": CASE["CausIRL_MMD/ints"].reshape(5, 3),
}
TOLERANCES = {"mmd": 1e-8, "causirl_mmd": 1e-8, "and_mask": 1e-6, "cdann": 1e-6}


def dense(algorithm, moment, layer):
    weight, bias = (CASE[f"{algorithm}/{moment}/{layer}.{part}"] for part in ("weight", "bias"))
    return {"kernel": weight.T, "bias": bias}


def variables_of(algorithm, moment):
    """Those of a network, or its gradients."""
    inner = {"param_after": "network.net", "grad_step": "network_inner.net", "init": "network.net"}
    fish = inner[moment.rstrip("0123456789")] if algorithm == "Fish" else None
    featurizer, classifier = (f"{fish}.0", f"{fish}.1") if fish else ("featurizer", "classifier")
    layers = {f"Dense_{i}": dense(algorithm, moment, f"{featurizer}.{name}") for i, name in enumerate(LAYERS)}
    return {"featurizer": layers, "classifier": dense(algorithm, moment, classifier)}


@functools.cache
def begun(name):
    """The algorithm, its state with the weights and settings of the case, and its step."""
    theirs, names = dg.DOMAINBED[name]
    hyperparameters = dict(zip(CASE[f"{theirs}/hparam_names"], CASE[f"{theirs}/hparam_values"].tolist(), strict=True))
    drawn = jax.tree.map(jnp.asarray, DRAWS.get(name))
    algorithm = dg.make_algorithm(
        name,
        NETWORK,
        (5,),
        num_classes=3,
        num_domains=3,
        discriminator=networks.MLP((6, 6), 3),
        draw=None if drawn is None else lambda key, steps: jax.tree.map(lambda leaf: leaf[steps], drawn),
    )
    settings = dg.settings_of_domainbed(name, hyperparameters)
    assert set(settings) == set(names)
    state = algorithm.system.init(jax.random.key(0), {"params": variables_of(theirs, "init")}, **settings)
    if name in ("dann", "cdann"):
        layers = {f"Dense_{i}": dense(theirs, "init", f"discriminator.{layer}") for i, layer in enumerate(LAYERS)}
        memory = state.memory._replace(network=state.memory.network._replace(params=layers))
        if name == "cdann":
            embedding = jnp.asarray(CASE[f"{theirs}/init/class_embeddings.weight"])
            memory = memory._replace(embedding=memory.embedding._replace(params=embedding))
        state = state._replace(memory=memory)
    return algorithm, state, jax.jit(algorithm.system.step)


def gradient_of(before, after):
    """That of a step of Adam, by its mean of gradients before and after; a reset has forgotten the one before."""
    moments = [state.network.optimizer[1][0] for state in (before, after)]
    kept = 0.0 if int(moments[1].count) == 1 else 1.0
    # the momentum of the adversaries is a half, that of all others 0.9
    decay = before.settings.get("momentum", 0.9)
    return jax.tree.map(lambda old, new: (new - kept * decay * old) / (1 - decay), moments[0].mu, moments[1].mu)


def assert_near(found, expected, tolerance, what):
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
        place = jax.tree_util.keystr(path)
        (here,) = [
            other for at, other in jax.tree_util.tree_leaves_with_path(found) if jax.tree_util.keystr(at) == place
        ]
        np.testing.assert_allclose(here, leaf, rtol=0, atol=tolerance * np.abs(leaf).max(), err_msg=f"{what}{place}")


@pytest.mark.parametrize("name", dg.ALGORITHMS)
def test_five_updates_are_those_of_domainbed(name):
    theirs, tolerance = dg.DOMAINBED[name].algorithm, TOLERANCES.get(name, 1e-9)
    algorithm, state, step = begun(name)
    told = []
    for number in range(5):
        before = state
        batch = training.Batch((X[number], Y[number], DOMAINS), ALL, DOMAINS)
        state, metrics = step(state, batch, jax.random.key(number))
        told.append(metrics)
        if f"{theirs}/grad_step{number}/classifier.weight" in CASE:
            gradient = gradient_of(before, state)
            assert_near(gradient, variables_of(theirs, f"grad_step{number}"), tolerance, f"gradient {number} ")
        if number in (0, 1, 4):
            expected = variables_of(theirs, f"param_after{number}")
            assert_near(state.network.params, expected, tolerance, f"after {number} ")
        if name == "group_dro":
            np.testing.assert_allclose(state.memory, CASE[f"GroupDRO/q_after{number}"], rtol=1e-12)
    np.testing.assert_allclose(
        algorithm.classifier(state.variables, X[0, 0]), CASE[f"{theirs}/predict_final"], rtol=0, atol=tolerance
    )
    # what it logs under this name is the last domain's, or the risk alone
    if name in ("irm", "vrex", "group_dro", "mixup", "mldg", "fishr", "ib_erm", "ib_irm", "rsc", "eqrm"):
        np.testing.assert_allclose([one["loss"] for one in told], CASE[f"{theirs}/log/loss"], rtol=1e-9)


@pytest.mark.parametrize("name", dg.ALGORITHMS)
def test_rows_beyond_the_batch_size_have_no_part(name):
    _, state, step = begun(name)
    few = state._replace(settings=state.settings | {"batch_size": jnp.asarray(5.0)})
    beyond = np.arange(8) >= 5
    others = np.where(beyond[:, None], X[0][:, ::-1], X[0]), np.where(beyond, Y[0][:, ::-1], Y[0])
    first, second = (
        step(few, training.Batch((x, y, DOMAINS), ALL, DOMAINS), jax.random.key(0)) for x, y in ((X[0], Y[0]), others)
    )
    assert_near(first[0].network.params, second[0].network.params, 1e-9, "params ")
    np.testing.assert_allclose(first[1]["loss"], second[1]["loss"], rtol=1e-9)
    np.testing.assert_allclose(first[1]["accuracy"], second[1]["accuracy"])


def test_the_registry_has_every_name():
    assert tuple(dg.ALGORITHMS) == get_args(dg.AlgorithmName) == tuple(dg.DOMAINBED)
    for name, recipe in dg.ALGORITHMS.items():
        assert set(recipe.settings) == set(dg.DOMAINBED[name].settings)


def test_what_domainbed_trains_with_where_nothing_is_searched_is_the_default():
    for name, recipe in dg.ALGORITHMS.items():
        searched = dg.settings_of_domainbed(name, dg.default_hyperparameters(dg.DOMAINBED[name].algorithm))
        del searched["batch_size"]
        ours = recipe.prepare(dg.Plan(3, {}))
        assert {setting: ours[setting] for setting in searched} == pytest.approx(searched), name


def test_settings_are_leaves_of_the_state_and_differ_between_models():
    algorithm, _, step = begun("irm")
    begin = lambda rate, steps: algorithm.system.init(jax.random.key(0), learning_rate=rate, anneal_steps=steps)
    states = jax.vmap(begin)(jnp.array([0.1, 0.2]), jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(states.settings["anneal_steps"], [1, 3])
    batch = training.Batch((X[0], Y[0], DOMAINS), ALL, DOMAINS)
    moved, _ = jax.jit(jax.vmap(algorithm.system.step, in_axes=(0, None, None)))(states, batch, jax.random.key(0))
    alone, _ = step(begin(0.2, 3.0), batch, jax.random.key(0))
    assert_near(jax.tree.map(lambda leaf: leaf[1], moved.network.params), alone.network.params, 1e-9, "params ")


def test_equal_arguments_give_one_algorithm_for_which_nothing_is_compiled_anew():
    make = functools.partial(dg.make_algorithm, "irm", num_classes=2, num_domains=2)
    assert make(NETWORK, (5,)) is make(networks.MLP((6, 6), 6), [5])
    assert make(NETWORK, (5,)) is not make(NETWORK, (5,), optimizer=dg.sgd)


def test_weights_of_domains_may_move_after_the_loss_and_domains_may_be_absent():
    algorithm = dg.make_algorithm("group_dro", NETWORK, (5,), num_classes=3, num_domains=3, update_before_loss=False)
    _, state, _ = begun("group_dro")
    present = np.array([2, 0])
    batch = training.Batch((X[0][present], Y[0][present], DOMAINS[present]), ALL[:2], DOMAINS[:2])
    moved, metrics = jax.jit(algorithm.system.step)(state, batch, jax.random.key(0))
    logits = algorithm.classifier(state.variables, X[0].reshape(-1, 5)).reshape(3, 8, 3)
    risks = np.array(dg.objectives.domain_risks(logits, Y[0]))
    np.testing.assert_allclose(metrics["loss"], (risks[2] + risks[0]) / 3, rtol=1e-12)
    risks[1] = 0
    expected = np.exp(0.5 * risks)
    np.testing.assert_allclose(moved.memory, expected / expected.sum(), rtol=1e-12)


def test_a_step_of_few_domains_learns_from_one_of_them_and_compares_two():
    make = functools.partial(dg.make_algorithm, featurizer=NETWORK, input_shape=(5,), num_classes=3, num_domains=3)
    data = jnp.asarray(X[0]), jnp.asarray(Y[0]), jnp.asarray(DOMAINS)
    batch = lambda count: training.Batch(tuple(part[:count] for part in data), ALL[:count], DOMAINS[:count])
    key, system = jax.random.key(0), make("mldg").system
    step = jax.jit(system.step)
    one, two = (step(system.init(key, num_test_domains=number), batch(2), key)[1] for number in (1, 2))
    assert one["risk"] > 0
    jax.tree.map(np.testing.assert_array_equal, one, two)
    for name in ("mldg", "mixup", "and_mask"):
        system = make(name).system
        with pytest.raises(ValueError, match="must be of two domains at least"):
            jax.eval_shape(lambda key, system=system: system.step(system.init(key), batch(1), key), key)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_trained_is_told():
    make = functools.partial(dg.make_algorithm, featurizer=NETWORK, input_shape=(5,), num_classes=3)
    with pytest.raises(ValueError, match="unknown algorithm 'IRM'; choose one of 'erm', 'irm', 'vrex'"):
        make("IRM", num_domains=2)
    for name in ("vrex", "coral", "dann", "mldg"):
        with pytest.raises(ValueError, match="it needs 2 to train on at least, got 1"):
            make(name, num_domains=1)
    init = functools.partial(make("mldg", num_domains=2).system.init, jax.random.key(0))
    assert init().settings["num_test_domains"] == 1
    with pytest.raises(ValueError, match=r"num_test_domains must lie in \[1, 1\], one less than the domains to train"):
        init(num_test_domains=2)
    init = functools.partial(make("irm", num_domains=2).system.init, jax.random.key(0))
    for settings, text in (
        ({"lambda": 1.0}, "unknown setting 'lambda' of the algorithm; it takes 'learning_rate', 'weight_decay'"),
        ({"penalty_weight": -1.0}, "penalty_weight must be finite and not negative, got -1.0"),
        ({"anneal_steps": -1}, "anneal_steps must be finite and not negative, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"batch_size": 1}, r"batch_size must lie in \[2, inf\]"),
    ):
        with pytest.raises(ValueError, match=text):
            init(**settings)
    one_axis = (lambda key, x: {"scale": jnp.ones(())}), (lambda params, x: params["scale"] * x[:, 0])
    algorithm = dg.make_algorithm("erm", one_axis, (5,), num_classes=2, num_domains=2)
    with pytest.raises(ValueError, match=r"the outputs of the featurizer must have 2 axes \(rows, features\)"):
        algorithm.system.init(jax.random.key(0))
