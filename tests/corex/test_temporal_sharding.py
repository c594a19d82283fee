"""A fit of T-CorEx whose variables lie on eight devices is the fit on one."""

import os
import subprocess
import sys

PROGRAM = """
import jax

jax.config.update("jax_enable_x64", True)
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from infotheory_dl.corex import temporal

assert len(jax.devices()) == 8
rng = np.random.default_rng(0)
layout = NamedSharding(jax.make_mesh((8,), ("variables",)), PartitionSpec(None, "variables"))
settings = {"l1": 0.3, "warm_start": False, "noises": (0.36, 0.0), "max_iterations": 20}
for num_samples in (6, 20):  # fewer samples than variables in all, and more
    x = [np.repeat(rng.normal(size=(n, 3)), 8, axis=1) + rng.normal(size=(n, 24)) for n in (num_samples, 5, 7)]
    on_many = [jax.device_put(table, layout) for table in x]
    on_one = temporal.fit(jax.random.key(0), x, 3, **settings)
    on_eight = temporal.fit(jax.random.key(0), on_many, 3, **settings)
    np.testing.assert_allclose(on_eight.history, on_one.history, rtol=1e-10)
    np.testing.assert_allclose(on_eight.weights, on_one.weights, rtol=1e-8, atol=1e-12)
    for leaf in (on_eight.weights, on_eight.moments.loadings):
        assert {shard.data.shape for shard in leaf.addressable_shards} == {(3, 3, 3)}
    densities = [temporal.log_likelihood(on_eight, on_many), temporal.log_likelihood(on_one, x)]
    np.testing.assert_allclose(*densities, rtol=1e-10)
"""


def test_variables_on_eight_devices_give_the_fit_on_one():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
