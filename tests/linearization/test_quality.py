"""The report on a linearization, where it is exact and where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import linearization_quality, linearize
from tests.sample_information.reference_networks import flatten, mlp_case


def test_a_linear_network_is_its_own_linearization():
    apply_fn = lambda w, x: x @ w
    before, after = jax.random.normal(jax.random.key(0), (2, 4, 3))
    x = jax.random.normal(jax.random.key(1), (6, 4))
    quality = linearization_quality(apply_fn, before, after, x, x @ after)
    distance = np.linalg.norm(after - before) / np.linalg.norm(before)
    np.testing.assert_allclose(quality, [1, 0, distance, 1], atol=1e-12)


def test_the_report_sees_how_far_training_has_left_the_linear_regime():
    apply_fn, params, arrays = mlp_case()
    x = jnp.asarray(arrays["X_test"])
    direction = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(2), leaf.shape), params)
    near, far = (
        linearization_quality(apply_fn, params, moved, x, linearize(apply_fn, params)(moved, x))
        for moved in (jax.tree.map(lambda p, d, size=size: p + size * d, params, direction) for size in (1e-3, 1.0))
    )
    assert near.correlation > 0.999999
    assert near.kernel_alignment > 0.9999
    assert far.kernel_alignment < near.kernel_alignment
    assert far.relative_error > 100 * near.relative_error
    norms = [float(jnp.linalg.norm(flatten(tree))) for tree in (direction, params)]
    np.testing.assert_allclose(far.weight_distance, norms[0] / norms[1], rtol=1e-12)


@pytest.mark.usefixtures("as_a_user_sees")
def test_outputs_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"linear_outputs must have the shape \(6, 3\), that of the outputs, got \(6,\)"
    ):
        linearization_quality(lambda w, x: x @ w, np.ones((4, 3)), np.ones((4, 3)), np.ones((6, 4)), np.ones(6))
