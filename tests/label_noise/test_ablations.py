import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.label_noise import ablations, joint
from infotheory_dl.training import as_network
from tests.label_noise import published_networks as published
from tests.label_noise.published_networks import CLASSIFIER, PREDICTOR, Model, dense, mlp, parameters


def hidden(params, inputs):
    return jax.nn.relu(inputs.reshape(len(inputs), -1) @ params["kernel"] + params["bias"])


def with_penultimate(params, inputs):
    activation = hidden(params["base"], inputs)
    return activation @ params["last"], activation


def of_modules(*modules):
    return parameters(lambda get: {"params": {f"Dense_{i}": dense(get, module) for i, module in enumerate(modules)}})


BASE = Model(as_network(hidden), lambda get: dense(get, "q_base.1"))
BEFORE_LAST = Model(
    as_network(lambda variables, inputs: with_penultimate(variables["params"], inputs)[0])._replace(
        train=lambda variables, inputs, mask, key: (with_penultimate(variables["params"], inputs), {})
    ),
    lambda get: {"base": dense(get, "classifier_base.1"), "last": get("classifier_last_layer.weight").T},
)
CONFUSION = parameters(lambda get: get("Q_logits"))
FORMS = {
    "pgo_mae": (ablations.absolute_error, (CLASSIFIER, PREDICTOR)),
    "pgo_none": (ablations.free_form, (CLASSIFIER, PREDICTOR, of_modules("q_loss.0", "q_loss.2"))),
    "confusion": (
        ablations.confusion,
        (CLASSIFIER, mlp("q_base.1", "q_top.0", "q_top.2", widths=(6, 128)), CONFUSION),
    ),
    "confusion_smallq": (ablations.confusion, (CLASSIFIER, mlp("q_base.1", "q_top", widths=(6,)), CONFUSION)),
    "uselabel": (ablations.use_label, (CLASSIFIER, BASE, of_modules("q_top.0", "q_top.2"))),
    "penalize": (ablations.penalize, (BEFORE_LAST, PREDICTOR)),
}


@pytest.mark.parametrize("case", FORMS)
def test_other_forms_are_trained_as_published(case):
    loss, models = FORMS[case]
    given = published.settings(case)
    weights = {"gradient_weight_decay": given["grad_weight_decay"]}
    if "lamb" in given:
        weights["weight"] = given["lamb"]
    system = joint(loss, [model.network for model in models], published.ADAM)
    published.check_steps(case, models, loss, system, **weights)


@pytest.mark.parametrize(("case", "distribution"), [("ce_gradnoise_g", "gaussian"), ("ce_gradnoise_l", "laplace")])
def test_noise_at_the_logits_is_added_as_published(case, distribution):
    def loss(logits, labels, **settings):
        labels, draws = labels
        return ablations.noisy_cross_entropy(logits, labels, distribution=distribution, noise=draws, **settings)

    system = joint(loss, (CLASSIFIER.network,), published.ADAM)
    deviation = published.settings(case)["noise_std"]
    published.check_steps(case, (CLASSIFIER,), loss, system, standard_deviation=deviation)


def test_noise_on_the_gradients_reaches_every_parameter_with_its_deviation():
    transform = ablations.gradient_noise(0.5)
    gradient = {"kernel": jnp.zeros((200, 50)), "bias": jnp.ones(5000)}
    noisy, _ = transform.update(gradient, transform.init(gradient), key=jax.random.key(0))
    np.testing.assert_allclose([noisy["kernel"].std(), noisy["bias"].std()], 0.5, rtol=0.03)
    np.testing.assert_allclose([noisy["kernel"].mean(), noisy["bias"].mean()], [0, 1], atol=0.03)


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    logits, labels = jnp.zeros((3, 2)), jnp.array([0, 1, 1])
    with pytest.raises(TypeError, match="must return its logits and the activation before the last layer, got Arr"):
        ablations.penalize(logits, logits, labels)
    with pytest.raises(ValueError, match="weight must be finite and not negative, got -1"):
        ablations.confusion(logits, logits, jnp.eye(2), labels, weight=-1.0)
    with pytest.raises(ValueError, match=r"standard_deviation must be finite and not negative, got -0\.1"):
        ablations.noisy_cross_entropy(logits, labels, standard_deviation=-0.1, key=jax.random.key(0))
    with pytest.raises(ValueError, match="unknown distribution 'dot'; choose one of 'gaussian', 'laplace'"):
        ablations.absolute_error(logits, logits, labels, distribution="dot")
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 2\) and \(3, 3\)"):
        ablations.absolute_error(logits, jnp.zeros((3, 3)), labels)
    with pytest.raises(ValueError, match="features has 6 of 6 entries that are NaN or infinite"):
        ablations.use_label(logits, jnp.full((3, 2), jnp.nan), {}, labels)
