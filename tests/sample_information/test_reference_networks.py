"""The hand-written networks are the ones the reference cases were made with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case


@pytest.mark.parametrize("make_case", [mlp_case, cnn_case])
def test_the_networks_are_those_of_the_references(make_case):
    apply_fn, params, arrays = make_case()
    inputs = jnp.asarray(arrays["X_train"])
    np.testing.assert_allclose(apply_fn(params, inputs), arrays["init_pred_train"], rtol=1e-12)
    jacobian = flatten(jax.jacrev(apply_fn)(params, inputs), leading=2)
    np.testing.assert_allclose(jacobian.reshape(arrays["jac_train"].shape), arrays["jac_train"], atol=1e-12)
