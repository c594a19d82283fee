import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl import networks
from infotheory_dl.label_noise.cross_validation import cross_validated_probabilities
from infotheory_dl.label_noise.detection import low_margin
from infotheory_dl.metrics import area_under_roc

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def constant(params, inputs):
    """Predicts the same for every input, and so tells what it was trained on."""
    return jnp.broadcast_to(params, (len(inputs), len(params)))


def cross_validate(labels, num_folds, **changes):
    settings = {"optimizer": optax.sgd(1.0), "num_epochs": 60, "batch_size": 100, "num_folds": num_folds, **changes}
    zeros = lambda key, inputs: jnp.zeros(len(np.unique(labels)))
    return cross_validated_probabilities(KEY, (zeros, constant), np.zeros((len(labels), 1)), labels, **settings)


@pytest.mark.parametrize(("examples", "num_folds"), [(12, 4), (11, 4), (10, 10)])
def test_no_network_predicts_an_example_that_it_was_trained_on(examples, num_folds):
    # every example has a class of its own: the probability of it is that of having seen it
    probabilities = cross_validate(np.arange(examples), num_folds, num_epochs=400, optimizer=optax.sgd(5.0))
    seen = np.asarray(probabilities) > 0.5 / examples
    size = -(-examples // num_folds)
    np.testing.assert_array_equal(seen.sum(1), examples - size)
    assert not np.diag(seen).any()


def test_folds_hold_their_share_of_every_class():
    labels = RANDOM.permutation(np.repeat([0, 1], [40, 20]))
    probabilities = cross_validate(labels, 5)
    # without a fold the others have 32 of 48 examples in class 0, up to one
    np.testing.assert_allclose(probabilities[:, 0], 2 / 3, atol=1.01 / 48)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_networks_with_batch_norm_find_flipped_labels():
    centres = 3 * RANDOM.normal(size=(3, 4))
    clean = np.arange(90) % 3
    inputs = centres[clean] + RANDOM.normal(size=(90, 4))
    flipped = np.arange(90) % 7 == 0
    labels = np.where(flipped, (clean + 1) % 3, clean)
    network = networks.MLP(outputs=3, widths=(16,), batch_norm=True)
    probabilities = cross_validated_probabilities(
        KEY,
        network,
        inputs,
        labels,
        optimizer=optax.adam(1e-2),
        num_epochs=20,
        batch_size=32,
        num_folds=3,
        evaluation_batch_size=20,
    )
    assert area_under_roc(low_margin(probabilities, labels), flipped) > 0.95


def test_the_fold_of_a_diverged_network_is_not_a_number():
    probabilities = cross_validate(np.arange(8) % 2, 2, optimizer=optax.sgd(np.inf))
    assert np.isnan(probabilities).all()


def test_bad_input_is_named(as_a_user_sees):
    labels = np.array([0, 1, 1])
    with pytest.raises(ValueError, match=r"num_folds must lie in \[2, 3\], the number of examples, got 4"):
        cross_validate(labels, 4)
    with pytest.raises(ValueError, match=r"labels must be whole numbers or names of classes, got 0\.5 at index 1"):
        cross_validate(labels / 2, 2)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got -1 at index 0"):
        cross_validate(labels - 1, 2)
    network = (lambda key, inputs: jnp.zeros(2), constant)
    with pytest.raises(ValueError, match="labels must be one for each of the 2 examples, got 3"):
        cross_validated_probabilities(KEY, network, np.zeros((2, 1)), labels, optimizer=optax.sgd(1.0), num_epochs=1)
