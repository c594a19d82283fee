"""The recurrent networks beside the published implementation, out of Keras."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import clinical
from infotheory_dl.clinical import Targets
from tests.conftest import reference

NAMES = {"ihm": "mortality", "decomp": "decompensation", "los": "length_of_stay", "ph": "phenotyping"}
CASES = (
    "S_ihm_depth2",
    "S_ihm_depth1_target_repl",
    "S_decomp_deep_supervision",
    "S_los10",
    "S_los_regression",
    "S_ph25",
    "C_ihm",
    "C_ihm_depth2",
    "C_decomp_deep_supervision",
    "MS_target_repl",
    "MS",
    "MC",
)


@pytest.fixture(scope="module")
def cases():
    arrays = reference("clinical_models")
    found = {}
    for name in CASES:
        mine = {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
        given = json.loads(str(mine["config"][0]))
        several = given["network"].startswith("multitask")
        configuration = clinical.Configuration(
            "multitask" if several else NAMES[given["task"]],
            "channel_wise" in given["network"],
            given["dim"],
            given["depth"],
            int(given.get("size_coef", 1)),
            given["dropout"],
            "replicated" if given.get("target_repl") else "deep" if given.get("deep_supervision") else "last",
            length_in_classes=given.get("num_classes") != 1,
            timestep=4.0 if several else 1.0,  # of which the twelfth ends at 48 hours
        )
        weights = {key: value for key, value in mine.items() if key.startswith("w") and "|" in key}
        found[name] = configuration, weights, mine
    return found


@pytest.fixture(scope="module")
def outputs(cases):
    """Of all networks, in double precision, and of some in single precision."""
    found = {}
    for name, (configuration, weights, arrays) in cases.items():
        apply = jax.jit(clinical.network(configuration).apply)
        for dtype in ("float64", "float32")[: 1 + (name in ("C_ihm", "MS_target_repl"))]:
            variables = clinical.variables_from_keras(
                configuration, {key: value.astype(dtype) for key, value in weights.items()}
            )
            assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == arrays["n_params"]
            found[name, dtype] = apply(variables, arrays["X"].astype(dtype))
            assert {leaf.dtype for leaf in jax.tree.leaves(found[name, dtype])} == {np.dtype(dtype)}
    return found


def targets_of(configuration, arrays):
    if configuration.task != "multitask":
        labels, mask = arrays["y"], arrays.get("M")
        labels = labels if configuration.task == "phenotyping" else labels[..., 0]
        return {configuration.task: Targets(labels, None if mask is None else mask > 0)}
    return {
        "mortality": Targets(arrays["y_ihm"][:, 0], arrays["ihm_M"][:, 0] > 0),
        "decompensation": Targets(arrays["y_decomp"][..., 0], arrays["decomp_M"] > 0),
        "length_of_stay": Targets(arrays["y_los"][..., 0], arrays["los_M"] > 0),
        "phenotyping": Targets(arrays["y_pheno"]),
    }


def test_all_networks_have_the_published_outputs(cases, outputs):
    heads = {"ihm": "mortality", "decomp": "decompensation", "los": "length_of_stay", "pheno": "phenotyping"}
    for (name, _), found in outputs.items():
        configuration, _, arrays = cases[name]
        shares = clinical.probabilities(configuration, found)
        for head, expected in arrays.items():
            if not head.startswith("out|"):
                continue
            head = head.removeprefix("out|")
            task = heads[head.split("_")[0]] if configuration.task == "multitask" else configuration.task
            ours = jax.nn.sigmoid(found[task]) if head.endswith("seq") else shares[task].reshape(expected.shape)
            masked = head in ("ihm", "ihm_single")
            np.testing.assert_allclose(ours * (arrays["ihm_M"] if masked else 1), expected, atol=2e-5, err_msg=name)


def test_all_losses_are_the_published_ones(cases, outputs):
    ours = {"single": "mortality_last", "seq": "mortality_all"}
    tasks = {**NAMES, "pheno": "phenotyping"}
    for (name, _), found in outputs.items():
        configuration, _, arrays = cases[name]
        steps = (arrays["X"] != 0).any(-1)
        losses = clinical.losses(configuration, found, targets_of(configuration, arrays), steps=steps)
        for key, expected in zip(arrays["loss_names"], arrays["loss_values"], strict=True):
            task, _, part = key.removesuffix("_loss").partition("_")
            part = {"": "", "single": "_last", "seq": "_all"}[part]
            place = ours.get(task) or (tasks[task] + part if task in tasks else task)
            np.testing.assert_allclose(losses[place], expected, rtol=2e-5, err_msg=f"{name} {key}")


def test_published_configurations_have_as_many_parameters_as_published():
    arrays = reference("clinical_models")
    published = {
        "S ihm 16x2": "ihm/S",
        "C ihm 8/4": "ihm/C",
        "S decomp 128": "decomp/S",
        "S los 64": "los/S",
        "S ph 256": "pheno/S",
        "C 16/8 ph": "pheno/C",
        "MS 512": "ihm/MS",
        "MC 16/8": "ihm/MC",
    }
    inputs = jax.ShapeDtypeStruct((1, 48, 76), jnp.float64)
    for name, expected in zip(arrays["param_counts/names"], arrays["param_counts/values"], strict=True):
        network = clinical.network(clinical.configuration(published[name]))
        shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == expected


def test_every_configuration_makes_a_network():
    for name, configuration in clinical.CONFIGURATIONS.items():
        assert clinical.network(configuration).configuration == clinical.configuration(name)
    assert clinical.configuration("mortality/C") == clinical.configuration("ihm/C")
    causal = {name for name, configuration in clinical.CONFIGURATIONS.items() if configuration.is_causal}
    tasks = ("ihm", "decomp", "los", "pheno")
    several = {f"{task}/{kind}" for task in tasks for kind in ("MS", "MC")}
    standard = {"decomp/S", "los/S", "pheno/S", "ihm/S+DS", "pheno/S+DS"}
    assert causal == several | standard | {f"{task}/{kind}+DS" for task in ("decomp", "los") for kind in "SC"}


def test_an_hour_of_a_whole_stay_is_what_its_prefix_gives(cases):
    """Of networks that read forwards; what was trained on prefixes is applied to whole stays, and the other way."""
    for name in ("S_decomp_deep_supervision", "C_decomp_deep_supervision", "MC", "S_los10"):
        configuration, weights, arrays = cases[name]
        task = configuration.tasks[-1] if configuration.task != "multitask" else "decompensation"
        variables = clinical.variables_from_keras(configuration, weights)
        inputs = arrays["X"].astype(float)
        whole = configuration if configuration.at_every_bin(task) else configuration._replace(supervision="deep")
        hourly = jax.jit(clinical.network(whole).apply)(variables, inputs)[task]
        # every prefix of every stay at once, filled up with zeros
        bins = np.arange(1, inputs.shape[1] + 1)
        prefixes = np.where((np.arange(inputs.shape[1]) < bins[:, None])[:, None, :, None], inputs, 0)
        last = jax.jit(clinical.network(configuration).apply)(variables, prefixes.reshape(-1, *inputs.shape[1:]))[task]
        last = last[:, -1] if configuration.at_every_bin(task) else last
        expected = last.reshape(len(bins), len(inputs), -1).swapaxes(0, 1)
        np.testing.assert_allclose(hourly, expected, atol=1e-12)


def test_a_replicated_label_of_a_short_stay_can_be_left_out(cases, outputs):
    configuration, _, arrays = cases["MS_target_repl"]
    targets, found = targets_of(configuration, arrays), outputs["MS_target_repl", "float64"]
    steps = (arrays["X"] != 0).any(-1)
    fixed = configuration._replace(short_stays_replicated=False)
    long = np.flatnonzero(targets["mortality"].mask)
    ours = clinical.losses(fixed, found, targets, steps=steps)["mortality_all"]
    logits, labels = np.asarray(found["mortality"])[long, :, 0], targets["mortality"].labels[long, None]
    each = np.logaddexp(0, np.where(labels > 0, -logits, logits))
    np.testing.assert_allclose(ours, each[steps[long]].mean(), rtol=1e-12)


def test_scores_are_the_published_measures(cases, outputs):
    configuration, _, arrays = cases["MS"]
    targets, found = targets_of(configuration, arrays), outputs["MS", "float64"]
    targets["mortality"] = Targets(np.array([0, 1, 1, 0]), np.array([True, True, True, False]))
    ours = jax.jit(lambda outputs: clinical.scores(configuration, outputs, targets))(found)
    shares = clinical.probabilities(configuration, found)
    death = np.asarray(shares["mortality"])
    np.testing.assert_allclose(ours["mortality"], np.mean(death[[1, 2]] > death[0]))
    hours = targets["length_of_stay"].mask
    classes = np.asarray(shares["length_of_stay"]).argmax(-1)[hours]
    from sklearn.metrics import cohen_kappa_score, roc_auc_score

    np.testing.assert_allclose(
        ours["length_of_stay"],
        cohen_kappa_score(targets["length_of_stay"].labels[hours], classes, labels=np.arange(10), weights="linear"),
    )
    np.testing.assert_allclose(
        ours["decompensation"],
        roc_auc_score(targets["decompensation"].labels[hours], np.asarray(shares["decompensation"])[hours]),
    )
    labels = arrays["y_pheno"]
    mixed = [place for place in range(25) if 0 < labels[:, place].sum() < len(labels)]
    areas = [roc_auc_score(labels[:, place], np.asarray(shares["phenotyping"])[:, place]) for place in mixed]
    np.testing.assert_allclose(ours["phenotyping"], np.mean(areas))


def bad_arrays(change):
    configuration = clinical.configuration("decomp/S")._replace(size=2)
    arrays = {
        "lstm_1/kernel": np.zeros((76, 8)),
        "lstm_1/recurrent_kernel": np.zeros((2, 8)),
        "lstm_1/bias": np.zeros(8),
        "dense_1/kernel": np.zeros((2, 1)),
        "dense_1/bias": np.zeros(1),
    }
    return lambda: clinical.variables_from_keras(configuration, change(arrays))


OF_DEATH = clinical.configuration("ihm/S")
BAD = [
    (lambda: clinical.configuration("ihm/D"), "ihm/D"),
    (lambda: clinical.network(OF_DEATH._replace(size=0)), "size must be at least 1, got 0"),
    (lambda: clinical.network(OF_DEATH._replace(supervision="deep")), "deep supervision needs labels of all hours"),
    (lambda: clinical.network(OF_DEATH._replace(dropout=1.0)), "dropout"),
    (
        lambda: clinical.network(OF_DEATH).init(jax.random.key(0), jnp.ones((1, 3, 75))),
        "inputs must have the 76 columns of discretize, got 75",
    ),
    (lambda: clinical.network(OF_DEATH._replace(size=3)), "size must be even where layers read both ways, got 3"),
    (
        lambda: clinical.network(clinical.configuration("ihm/MC")).init(jax.random.key(0), jnp.ones((1, 47, 76))),
        "several tasks need 48 bins at least, to 48 hours, got 47",
    ),
    (lambda: clinical.system(OF_DEATH, lengths=(64, 32)), r"lengths must increase, got \[64, 32\]"),
    (
        bad_arrays(lambda arrays: dict(list(arrays.items())[:4])),
        "the arrays are 4, and end before decompensation, bias",
    ),
    (bad_arrays(lambda arrays: {**arrays, "more": np.zeros(1)}), "the arrays have more, which this network lacks"),
    (bad_arrays(lambda arrays: {**arrays, "lstm_1/bias": np.zeros(4)}), r"lstm_1/bias must fit .* got shape \(4,\)"),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_wrong_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
