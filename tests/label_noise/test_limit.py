import functools

import pytest

from infotheory_dl.label_noise import limit
from infotheory_dl.label_noise.joint import joint
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
