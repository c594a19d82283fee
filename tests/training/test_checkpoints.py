"""A training that is killed goes on as if nothing had been. This file is also the program that gets killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.training import Checkpoint, Evaluation, minibatches, train, train_many

ROOT = Path(__file__).parents[2]
KEYS = jax.random.split(jax.random.key(0), 3)
DATA = np.random.default_rng(0).normal(size=(10, 3))
STATES = {"sum": np.zeros((3, 3)), "count": np.zeros(3, int), "nothing": np.zeros((3, 0))}


def add(state, batch, key):
    noise = jax.random.normal(key, 3)
    total = state["sum"] + jnp.where(batch.mask[:, None], batch.data, 0).sum(0) * noise
    return state | {"sum": total, "count": state["count"] + 1}, {"noise": noise[0]}


def look(state, data):
    return {"signs": jnp.sign(state["sum"]).astype(jnp.int8), "norm": (state["sum"] ** 2).sum()}


EVALUATION = Evaluation(look, epochs=(1, 4, 6), maximize="norm")


def run(folder=None, configuration=None, **changes):
    """The training, and the epochs at which its callback was called."""
    seen = []
    settings = {"keys": KEYS, "states": STATES, "data": DATA, "num_epochs": 7, "batch_size": 4}
    settings |= {"evaluation": EVALUATION, "callback": lambda training: seen.append(int(training.epoch))}
    training = train_many(
        step=add,
        **{"callback_every": 2} | settings | changes,
        checkpoint=folder and Checkpoint(folder, configuration or {"network": "sum", "rates": (0.1, float("nan"))}),
    )
    return training, seen


def kill_after(epochs):
    def callback(training):
        if training.epoch == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    return callback


class InterruptionError(Exception):
    pass


def interrupt_after(epochs):
    def callback(training):
        if training.epoch == epochs:
            raise InterruptionError

    return callback


@pytest.fixture(scope="module")
def whole():
    return run()[0]


@pytest.fixture
def interrupted(tmp_path):
    with pytest.raises(InterruptionError):
        run(tmp_path, callback=interrupt_after(4))
    return tmp_path


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for leaf, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf, other = jax.random.key_data(leaf), jax.random.key_data(other)
        assert leaf.dtype == other.dtype
        np.testing.assert_array_equal(leaf, other)


def test_a_killed_training_loses_nothing_that_was_saved_and_ends_the_same(tmp_path, whole):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    killed = subprocess.run([sys.executable, __file__, tmp_path], env=environment, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    training, seen = run(tmp_path)
    assert seen == [6, 7]
    assert_equal(training, whole)


def test_a_finished_training_is_not_trained_again(interrupted, whole):
    run(interrupted)
    for _ in range(2):
        training, seen = run(interrupted)
        assert seen == []
        assert_equal(training, whole)


def test_the_last_two_chunks_are_kept_with_the_configuration_beside_them(interrupted):
    assert {path.name for path in interrupted.iterdir()} == {"2", "4", "configuration.json"}
    run(interrupted)
    assert {path.name for path in interrupted.iterdir()} == {"6", "7", "configuration.json"}
    configuration = json.loads((interrupted / "configuration.json").read_text())
    assert configuration["network"] == "sum"
    assert configuration["evaluation_epochs"] == [1, 4, 6]


def test_chunks_of_another_size_and_another_axis_go_on_all_the_same(interrupted, whole):
    training, seen = run(interrupted, axis="vmap", callback_every=3)
    assert seen == [6, 7]
    assert_equal(training, whole)


def test_one_model_is_saved_as_well(tmp_path):
    state = jax.tree.map(lambda leaf: leaf[1], STATES)
    plan = {"num_epochs": 4, "batch_size": 4, "evaluation": Evaluation(look, epochs=())}
    expected = train(KEYS[1], add, state, DATA, **plan)
    checkpoint = Checkpoint(tmp_path)
    with pytest.raises(InterruptionError):
        train(KEYS[1], add, state, DATA, **plan, checkpoint=checkpoint, callback=interrupt_after(3), callback_every=3)
    assert_equal(train(KEYS[1], add, state, DATA, **plan, checkpoint=checkpoint), expected)


FINGERPRINT = "'[0-9a-f]{16}'"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_epochs": 8}, "num_epochs is 7 there and 8 here. Choose another folder, or remove this one"),
        ({"batch_size": 5}, "batch_size is 4 there and 5 here"),
        ({"batch_size": None}, "batch_size is 4 there and None here"),
        ({"batch_size": minibatches(10, 4)}, "batch_size is 4 there and 'a schedule' here; schedule is None there"),
        (
            {"evaluation": EVALUATION._replace(epochs=(1, 4))},
            r"evaluation_epochs is \[1, 4, 6\] there and \[1, 4\] here",
        ),
        ({"evaluation": EVALUATION._replace(patience=3)}, "patience is None there and 3 here"),
        ({"evaluation": EVALUATION._replace(maximize=None)}, r"selection is \['norm', 1\] there and None here"),
        ({"keys": KEYS[::-1]}, f"configuration: keys is {FINGERPRINT} there and {FINGERPRINT} here. Choose"),
        ({"states": STATES | {"sum": np.ones((3, 3))}}, f"configuration: states is {FINGERPRINT} there"),
        ({"data": DATA + 1e-12}, f"configuration: data is {FINGERPRINT} there"),
        ({"subsets": np.zeros((3, 4), int)}, f"configuration: subsets is None there and {FINGERPRINT} here. Choose"),
        (
            {"configuration": {"network": "product", "rates": (0.1, float("nan"))}},
            "network is 'sum' there and 'product' here. Choose",
        ),
        (
            {"configuration": {"network": "sum", "depth": 2}},
            r"configuration: rates is \[0.1, nan\] there and None here; depth is None there and 2 here. Choose",
        ),
        (
            {"keys": KEYS[:2], "states": jax.tree.map(lambda leaf: leaf[:2], STATES)},
            "configuration: num_models is 3 there and 2 here; keys is ",
        ),
    ],
)
def test_another_configuration_is_refused_by_naming_what_differs(whole_folder, changes, message):
    with pytest.raises(ValueError, match=message):
        run(whole_folder, **changes)


def test_another_schedule_is_refused(tmp_path):
    scheduled = {"batch_size": minibatches(10, 4)}
    training, _ = run(tmp_path, **scheduled)
    again, seen = run(tmp_path, **scheduled)
    assert seen == []
    assert_equal(again, training)
    for other in (minibatches(10, 4, shuffle=False), minibatches(10, 5)):
        with pytest.raises(ValueError, match=f"configuration: schedule is {FINGERPRINT} there and {FINGERPRINT} here"):
            run(tmp_path, batch_size=other)


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def damage(checkpoint):
    for path in checkpoint.rglob("*"):
        if path.is_file():
            os.truncate(path, path.stat().st_size // 2)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(interrupted, whole):
    damage(interrupted / "4")
    with pytest.warns(UserWarning, match=r"the checkpoint .*4 cannot be read and is removed"):
        training, seen = run(interrupted)
    assert seen == [4, 6, 7]
    assert_equal(training, whole)


def test_where_no_checkpoint_can_be_read_the_user_decides(interrupted):
    damage(interrupted / "2")
    damage(interrupted / "4")
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read: they are damaged, or what the steps"):
        run(interrupted)
    assert {"2", "4"} < {path.name for path in interrupted.iterdir()}


def test_what_is_not_used_is_not_imported():
    program = "import sys, infotheory_dl.training; print({'rich', 'orbax.checkpoint'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout == "set()\n"


if __name__ == "__main__":
    run(Path(sys.argv[1]), callback=kill_after(4))
