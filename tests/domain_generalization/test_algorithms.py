"""All algorithms by name, beside DomainBed's own updates of the same network."""

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


def begun(name):
    """The algorithm, and its state with the weights and settings of the case."""
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
    return algorithm, state


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
    algorithm, state = begun(name)
    step = jax.jit(algorithm.system.step)
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
