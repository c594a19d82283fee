"""Kernels and scores of examples that lie on eight devices are those of one."""

from tests.devices import run_on_eight_devices

PROGRAM = """
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from infotheory_dl import networks
from infotheory_dl.linearization import empirical_kernel, kernels
from infotheory_dl.sample_information import sample_information

assert len(jax.devices()) == 8
layout = NamedSharding(jax.make_mesh((8,), ("examples",)), PartitionSpec("examples"))
x, references = np.random.default_rng(0).normal(size=(2, 48, 6, 6, 1))
targets = np.random.default_rng(1).normal(size=(48, 2))
network = networks.CNN((networks.Convolution(4, 3),), networks.MLP((5,), 2))
params = jax.tree.map(lambda leaf: leaf.astype(float), network.init(jax.random.key(0), x[:1]))

rows_of_a_device = set()
compute = kernels._block_kernel


def seen(left, right, outputs):
    block = compute(left, right, outputs)
    rows_of_a_device.update(shard.data.shape[-2] for shard in block.addressable_shards)
    return block


kernels._block_kernel = seen
across = jax.device_put(x, layout), jax.device_put(references, layout)
for outputs, rows in (("full", 4), ("trace", 2)):
    kernel = empirical_kernel(network.apply, params, x, references, outputs=outputs)
    rows_of_a_device.clear()
    on_eight = empirical_kernel(network.apply, params, *across, outputs=outputs, batch_size=20)
    assert rows_of_a_device == {rows}, rows_of_a_device
    np.testing.assert_allclose(on_eight, kernel, atol=1e-12 * abs(kernel).max())

training = {"time": 30, "learning_rate": 0.1}
on_one = sample_information(network.apply, params, x, targets, references, **training)
on_eight = sample_information(network.apply, params, across[0], targets, across[1], **training)
np.testing.assert_allclose(on_eight.weight_change, on_one.weight_change, rtol=1e-9)
np.testing.assert_allclose(on_eight.output_change, on_one.output_change, rtol=1e-9)
"""


def test_examples_on_eight_devices_give_the_kernels_and_the_scores_of_one():
    run_on_eight_devices(PROGRAM)
