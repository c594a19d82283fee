import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl.label_noise import joint, limit, losses
from tests.label_noise import published_networks as published

DISTRIBUTIONS = {"Gaussian": "gaussian", "Laplace": "laplace", "ce": "cross_entropy", "dot": "dot"}
CASES = [
    "limit_g",
    "limit_l",
    "limit_g_beta0",
    "limit_ce",
    "limit_l_cnn",
    "limit_g_sample",
    "limit_l_sample",
    "pgo_dot",
    "pgo_nodetach",
    "pgo_l1",
    "pgo_warmup",
]


@pytest.mark.parametrize("case", CASES)
def test_training_steps_are_the_published_ones(case):
    given = published.settings(case)
    models = published.CLASSIFIER, published.PREDICTOR
    if case == "limit_l_cnn":
        models = published.cnn("classifier"), published.cnn("q_network")
    network = [model.network for model in models]
    variant = {"distribution": DISTRIBUTIONS[given["q_dist"]], "detach": given.get("detach", True)}
    weights = {
        "gradient_weight_decay": given.get("grad_weight_decay", 0.0),
        "gradient_l1_penalty": given.get("grad_l1_penalty", 0.0),
    }
    loss = functools.partial(limit.loss, **variant)
    if "sample_from_q" in given:
        # the published scales are those of a precision that is a little larger
        weights["noise_scale"] = given["lamb"] + (1e-6 if given["q_dist"] == "Laplace" else 1e-12)
        loss = with_draws(functools.partial(loss, sample=True))
        system = joint(loss, network, published.ADAM)
    else:
        system = limit.limit(*network, published.ADAM, **variant, warm_up_steps=given.get("warm_up", 0))
    tolerance = 1e-8 if case.endswith("cnn") else 1e-10
    published.check_steps(case, models, loss, system, tolerance=tolerance, **weights)


def with_draws(loss):
    """The loss for labels that bring their draws with them."""
    return lambda classifier, predictor, labels, **settings: loss(
        classifier, predictor, labels[0], noise=labels[1], **settings
    )


def batch(num_examples=6):
    keys = jax.random.split(jax.random.key(0), 3)
    logits, others = (jax.random.normal(key, (num_examples, 4)) for key in keys[:2])
    return logits, others, jax.random.randint(keys[2], (num_examples,), 0, 4)


def test_without_sampling_the_classifier_is_a_student_of_the_predictor():
    logits, others, labels = batch()
    to_classifier = jax.grad(lambda logits: limit.loss(logits, others, labels, gradient_weight_decay=3.0)[0])(logits)
    student = lambda logits: losses.cross_entropy(logits, jax.nn.softmax(others)).sum()
    np.testing.assert_allclose(to_classifier, jax.grad(student)(logits), atol=1e-12)
    by_mean = jax.grad(lambda logits: limit.loss(logits, others, labels, scale="mean")[0])(logits)
    np.testing.assert_allclose(by_mean, to_classifier / 6, atol=1e-12)


def test_the_label_of_an_example_does_not_reach_the_classifier():
    logits, others, labels = batch()
    gradient = jax.grad(lambda logits, labels: limit.loss(logits, others, labels, gradient_weight_decay=1.0)[0])
    np.testing.assert_array_equal(gradient(logits, labels), gradient(logits, (labels + 1) % 4))


def test_rows_that_fill_up_a_batch_do_not_count():
    logits, others, labels = batch()
    settings = {"gradient_weight_decay": 2.0, "gradient_l1_penalty": 0.5}
    total, metrics = limit.loss(logits[:4], others[:4], labels[:4], **settings)
    padded = jnp.where(jnp.arange(6)[:, None] < 4, logits, jnp.inf), others, labels
    masked = jax.jit(functools.partial(limit.loss, **settings))(*padded, mask=jnp.arange(6) < 4)
    np.testing.assert_allclose(masked[0], total, rtol=1e-12)
    for name, value in metrics.items():
        np.testing.assert_allclose(masked[1][name], value, rtol=1e-12)


@pytest.mark.parametrize(("distribution", "variance"), [("gaussian", 1 / 8), ("laplace", 2 / 16)])
def test_draws_have_the_variance_that_the_scale_says(distribution, variance):
    logits, others, labels = batch(4000)
    sampled = lambda logits: limit.loss(
        logits, others, labels, distribution=distribution, sample=True, noise_scale=4.0, key=jax.random.key(1)
    )[0]
    mean = jax.nn.softmax(logits) - jax.nn.softmax(others)
    draws = jax.grad(sampled)(logits) - mean
    np.testing.assert_allclose(jnp.square(draws).mean(), variance, rtol=0.05)
    np.testing.assert_allclose(draws.mean(), 0, atol=0.01)


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    logits, others, labels = batch()
    with pytest.raises(ValueError, match="unknown distribution 'normal'; choose one of 'gaussian', 'laplace'"):
        limit.loss(logits, others, labels, distribution="normal")
    with pytest.raises(ValueError, match="gradients are drawn from 'gaussian' or 'laplace', 'dot' is not a distrib"):
        limit.loss(logits, others, labels, distribution="dot", sample=True, key=jax.random.key(0))
    with pytest.raises(ValueError, match="noise_scale must be positive, got 0"):
        limit.loss(logits, others, labels, sample=True, noise_scale=0.0, key=jax.random.key(0))
    with pytest.raises(ValueError, match="a draw needs a key, or the noise itself"):
        limit.loss(logits, others, labels, sample=True)
    with pytest.raises(ValueError, match=r"noise must have the shape \(6, 4\), that of the logits, got \(6, 3\)"):
        limit.loss(logits, others, labels, sample=True, noise=jnp.zeros((6, 3)))
    with pytest.raises(ValueError, match="gradient_weight_decay must be finite and not negative, got -1"):
        limit.loss(logits, others, labels, gradient_weight_decay=-1.0)
    with pytest.raises(ValueError, match=r"must have one shape, got \(6, 4\) and \(6, 3\)"):
        limit.loss(logits, others[:, :3], labels % 3)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 4\), got 4 at index 1"):
        limit.loss(logits, others, jnp.array([0, 4, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match=r"mask must have the shape \(6,\), one for each example, got \(5,\)"):
        limit.loss(logits, others, labels, mask=jnp.ones(5, bool))
    network = published.CLASSIFIER.network
    with pytest.raises(ValueError, match="unknown scale 'total'; choose one of 'sum', 'mean'"):
        limit.limit(network, network, optax.sgd(0.1), scale="total")
