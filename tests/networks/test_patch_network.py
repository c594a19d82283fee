import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.networks import PatchFeatures, PatchNetwork, image_dictionary, with_dictionary
from infotheory_dl.networks.feature_maps import likeness

KEY = jax.random.key(0)
SMALL = PatchFeatures(num_patches=3, window=4, widths=(5, 6))


@pytest.fixture(scope="module")
def problem():
    images = np.random.default_rng(0).normal(size=(6, 13, 14, 3))
    filters = image_dictionary(KEY, images, num_patches=3, window=4).params
    network = PatchNetwork(2, SMALL)
    return images, filters, network, with_dictionary(network.init(KEY, images), filters)


@pytest.mark.parametrize("stride", [1, 2])
def test_patches_that_are_gathered_are_as_like(problem, stride):
    images, filters, *_ = problem
    one, other = (
        likeness(filters, jnp.asarray(images), threshold=0.3, stride=stride, gathered=gathered)
        for gathered in (False, True)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


def test_outputs_are_linear_in_the_features(problem):
    images, _, network, variables = problem
    features = np.asarray(network.apply(variables, images, method="features"))
    assert features.shape == (6, 6)
    head = variables["params"]["head"]
    np.testing.assert_allclose(
        network.apply(variables, images), features @ head["kernel"] + head["bias"], rtol=1e-6, atol=1e-9
    )


def test_the_dictionary_is_not_trained(problem):
    images, filters, network, variables = problem
    assert jax.tree.leaves(variables["params"])
    assert "filters" not in str(jax.tree_util.tree_structure(variables["params"]))
    np.testing.assert_array_equal(variables["dictionary"]["layers"]["filters"], filters)
    assert not np.allclose(
        network.apply(variables, images), network.apply(with_dictionary(variables, 2 * filters), images)
    )


def test_an_image_that_is_alike_everywhere_is_like_no_patch(problem):
    _, filters, network, variables = problem
    grey = jnp.ones((1, 13, 14, 3)) * 0.7
    assert not np.asarray(likeness(filters, grey, threshold=0.0)).max() > 1e-6
    assert np.isfinite(network.apply(variables, grey)).all()
