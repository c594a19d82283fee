"""A fit whose variables lie on eight devices is the fit on one."""

from tests.devices import run_on_eight_devices

START = """
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from infotheory_dl.corex import linear, temporal
from infotheory_dl.information import low_rank

assert len(jax.devices()) == 8
rng = np.random.default_rng(0)
layout = NamedSharding(jax.make_mesh((8,), ("variables",)), PartitionSpec(None, "variables"))
"""

LINEAR = """
x = np.repeat(rng.normal(size=(20, 3)), 8, axis=1) + rng.normal(size=(20, 24))
on_one = linear.fit(jax.random.key(0), x, 3)
on_eight = linear.fit(jax.random.key(0), jax.device_put(x, layout), 3)
assert len(on_one.history) == len(on_eight.history)
np.testing.assert_allclose(on_eight.history, on_one.history, rtol=1e-10)
np.testing.assert_allclose(on_eight.weights, on_one.weights, rtol=1e-8, atol=1e-12)
for on_many in (on_eight.weights, on_eight.moments.loadings, on_eight.moments.mutual_informations):
    assert {shard.data.shape for shard in on_many.addressable_shards} == {(3, 3)}

standardised = jax.device_put((x - x.mean(0)) / x.std(0), layout)
explained = linear.explained_total_correlation(on_one.weights, standardised)
np.testing.assert_allclose(explained, on_one.total_correlation, rtol=1e-10)
np.testing.assert_allclose(linear.transform(on_eight, jax.device_put(x, layout)), linear.transform(on_one, x))
densities = [low_rank.log_density(linear.covariance(model), x) for model in (on_eight, on_one)]
np.testing.assert_allclose(*densities, rtol=1e-10)
"""

TEMPORAL = """
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


def test_variables_on_eight_devices_give_the_fits_on_one():
    run_on_eight_devices(START + LINEAR + TEMPORAL)
