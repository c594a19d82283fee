"""The progress that a terminal shows."""

import io
import re

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from infotheory_dl.training import progress, train, train_many


def count(state, batch, key):
    return state + 1, {}


def shown(num_models, *, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with progress(4, console=console) as show:
        keys, data = jax.random.split(jax.random.key(0), num_models), np.zeros((3, 1))
        plan = {"num_epochs": 4, "callback": show, "callback_every": 1}
        if num_models == 1:
            train(keys[0], count, jnp.int32(0), data, **plan)
        else:
            train_many(keys, count, jnp.zeros(num_models, int), data, **plan)
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", console.file.getvalue()).strip()


def test_a_terminal_shows_models_epochs_and_speed():
    last = shown(5, terminal=True).splitlines()[-1]
    assert "models 5, epoch 4 of 4" in last
    assert re.search(r" \d[\d.]* models/s +0:00:00$", last)


def test_one_model_can_be_watched_as_well():
    assert "models 1, epoch 4 of 4" in shown(1, terminal=True)


def test_where_there_is_no_terminal_nothing_is_shown():
    assert shown(2, terminal=False) == ""
