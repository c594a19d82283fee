"""On several devices and in several processes the models come out as on one device, bit for bit.

A process has its devices once and for all. So this file is also the program that the tests run in processes apart.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.training import Checkpoint, Evaluation, gather, train_many
from tests.devices import EIGHT_DEVICES

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)
DATA = (RANDOM.normal(size=(10, 3)), RANDOM.normal(size=10))
SHARED = {"noise": np.array([0.1, 0.2, 0.3])}


def descend(state, batch, key):
    inputs, targets = batch.data
    errors = jnp.where(batch.mask, inputs @ state["weights"] - targets, 0)
    gradient = inputs.T @ errors + batch.shared["noise"] * jax.random.normal(key, 3)
    return state | {"weights": state["weights"] - state["rate"] * gradient}, {"loss": (errors**2).sum()}


def squared_norm(state, data, shared):
    return {"norm": (state["weights"] ** 2).sum() + shared["noise"].sum()}


def start(num_models):
    # the rate of the second model is out of all proportion: it diverges
    rates = jnp.linspace(0.01, 0.1, num_models).at[1].set(1e200)
    return jax.random.split(jax.random.key(0), num_models), {"weights": jnp.zeros((num_models, 3)), "rate": rates}


def run(num_models, **settings):
    keys, states = start(num_models)
    subsets = np.stack([np.roll(np.arange(10), shift)[:7] for shift in range(num_models)])
    evaluation = Evaluation(squared_norm, epochs=(2, 3), minimize="norm")
    plan = {"num_epochs": 3, "batch_size": 4, "subsets": subsets, "evaluation": evaluation}
    return train_many(keys, descend, states, DATA, shared=SHARED, **plan, **settings)


def leaves(training):
    training = gather(training)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(training._replace(key=jax.random.key_data(training.key)))]


def assert_same(path, training):
    with np.load(path) as saved:
        for name, expected in zip(saved, leaves(training), strict=True):
            np.testing.assert_array_equal(saved[name], expected)


def on_eight_devices(folder):
    assert jax.device_count() == 8
    for num_models in (16, 5):
        np.savez(folder / f"{num_models}.npz", *leaves(run(num_models)))
    two = jax.make_mesh((2,), ("pair",), devices=jax.devices()[:2])
    np.savez(folder / "two.npz", *leaves(run(5, mesh=two)))

    plan = {"shared": SHARED, "num_epochs": 3, "batch_size": 4}
    whole = jax.jit(lambda keys, states: train_many(keys, descend, states, DATA, **plan))
    (folder / "compiled.txt").write_text(whole.lower(*start(16)).compile().as_text())

    class InterruptionError(Exception):
        pass

    def interrupt(training):
        raise InterruptionError

    for num_models in (16, 5):
        checkpoint = Checkpoint(folder / f"checkpoints_{num_models}")
        with pytest.raises(InterruptionError):
            run(num_models, checkpoint=checkpoint, callback=interrupt, callback_every=2)


def in_two_processes(folder, rank, address):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=rank)
    shared_evenly = run(4)
    np.savez(folder / f"4_{rank}.npz", *leaves(shared_evenly))
    (folder / f"share_{rank}.txt").write_text(str(shared_evenly.diverged.addressable_shards[0].data.shape))
    seen = []
    checkpoint = Checkpoint(folder / "checkpoints")
    first = run(5, checkpoint=checkpoint, callback_every=2, callback=lambda training: seen.append(int(training.epoch)))
    again = run(5, checkpoint=checkpoint, callback_every=2, callback=lambda training: seen.append(int(training.epoch)))
    assert seen == [2, 3]
    np.savez(folder / f"first_{rank}.npz", *leaves(first))
    np.savez(folder / f"again_{rank}.npz", *leaves(again))


def process(*arguments, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"} | environment
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)], env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_for(*processes):
    for running in processes:
        _, errors = running.communicate(timeout=120)
        assert running.returncode == 0, errors


@pytest.fixture(scope="module")
def eight_devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eight_devices")
    wait_for(process("on_eight_devices", folder, XLA_FLAGS=EIGHT_DEVICES))
    return folder


@pytest.mark.parametrize(("result", "num_models"), [("16", 16), ("5", 5), ("two", 5)])
def test_on_several_devices_the_models_come_out_as_on_one(eight_devices, result, num_models):
    assert_same(eight_devices / f"{result}.npz", run(num_models))


def test_the_devices_exchange_nothing(eight_devices):
    compiled = (eight_devices / "compiled.txt").read_text()
    assert "num_partitions=8" in compiled
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in compiled


@pytest.mark.parametrize("num_models", [16, 5])
def test_what_eight_devices_began_one_completes(eight_devices, num_models):
    seen = []
    training = run(
        num_models,
        checkpoint=Checkpoint(eight_devices / f"checkpoints_{num_models}"),
        callback=lambda training: seen.append(int(training.epoch)),
    )
    assert seen == [3]
    for actual, expected in zip(leaves(training), leaves(run(num_models)), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_two_processes_share_the_models_and_both_can_gather_them(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    wait_for(*[process("in_two_processes", tmp_path, rank, address) for rank in (0, 1)])
    alone = {4: run(4), 5: run(5)}
    for rank in (0, 1):
        assert (tmp_path / f"share_{rank}.txt").read_text() == "(2,)"
        assert_same(tmp_path / f"4_{rank}.npz", alone[4])
        for result in ("first", "again"):
            assert_same(tmp_path / f"{result}_{rank}.npz", alone[5])


def test_a_gathered_training_is_of_numpy_and_its_keys_are_keys():
    training = gather(run(2))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(training._replace(key=None)))
    np.testing.assert_array_equal(jax.random.key_data(training.key), jax.random.key_data(start(2)[0]))


if __name__ == "__main__":
    name, folder, *rest = sys.argv[1:]
    if name == "on_eight_devices":
        on_eight_devices(Path(folder))
    else:
        in_two_processes(Path(folder), int(rest[0]), rest[1])
