import functools

import jax.numpy as jnp
import pytest

from infotheory_dl.label_noise import joint, losses
from infotheory_dl.training import masked_mean
from tests.label_noise import published_networks as published


def mean_of(loss):
    """The mean of a loss of each example, as the loss of a batch."""

    def of_batch(logits, labels, *, mask, key):
        total = masked_mean(loss(logits, labels), mask)
        return total, {"loss": total}

    return of_batch


def determinant(logits, labels, *, mask, key):
    """A loss that has no value for each example."""
    total = losses.dmi(logits, labels, mask=mask)
    return total, {"loss": total}


TRANSITION = published.STEPS["fw/T"]
LOSSES = {
    "ce": mean_of(losses.cross_entropy),
    "ce_cnn": mean_of(losses.cross_entropy),
    "mae": mean_of(losses.mean_absolute_error),
    "gce": mean_of(functools.partial(losses.generalized_cross_entropy, q=0.7)),
    "dmi": determinant,
    "fw": mean_of(lambda logits, labels: losses.forward_correction(logits, labels, TRANSITION)),
}


@pytest.mark.parametrize("case", LOSSES)
def test_one_network_alone_is_trained_as_published(case):
    model = published.cnn("classifier") if case == "ce_cnn" else published.CLASSIFIER
    system = joint(LOSSES[case], (model.network,), published.ADAM)
    tolerance = 1e-8 if case == "ce_cnn" else 1e-10
    published.check_steps(case, (model,), LOSSES[case], system, tolerance=tolerance)


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    loss, network = LOSSES["ce"], published.CLASSIFIER.network
    with pytest.raises(ValueError, match="warm_up_steps must be at least 0, got -1"):
        joint(loss, (network,), published.ADAM, warm_up_steps=-1)
    system = joint(loss, (network,), published.ADAM)
    with pytest.raises(ValueError, match="init takes the variables of 1 networks, got 2"):
        system.init({"params": {}}, {"params": {}})
    with pytest.raises(ValueError, match="weight must be finite and not negative, got nan"):
        system.init({"params": {"kernel": jnp.ones(1)}}, weight=float("nan"))
