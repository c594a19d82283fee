"""Categorical factors and autoencoders of the images of words."""

from typing import Any

import jax
import numpy as np

from experiments.harness import Row
from experiments.minsyn.baselines import Words, unexplained_of_test_words
from infotheory_dl import data
from infotheory_dl.minsyn import autoencoder, categorical, evaluation

_NOTHING = {"noise": 0.0, "initial_capacity_weight": 0.0, "weight_decay": 0.0}

CATEGORICAL_RUNS: dict[str, dict[str, Any]] = {
    "default": {},
    "no noise": {"noise": 0.0},
    "no capacity at first": {"initial_capacity_weight": 0.0},
    "no decay": {"weight_decay": 0.0},
    "none of these": _NOTHING,
    "temperature from 5 instead": _NOTHING | {"temperature": 5.0},
    "capacity 0.2 instead, rate 0.01": _NOTHING
    | {"capacity_weight": 0.2, "initial_capacity_weight": 0.2, "learning_rate": 0.01},
    "batches of 32": {"batch_size": 32},
}
"""Settings of the fits, by what they show."""


def categorical_row(name: str, drawn: Words, seed: int, restarts: int, num_steps: int) -> Row:
    """The match and the losses of one fit."""
    settings = {"restarts": restarts, "num_steps": num_steps} | CATEGORICAL_RUNS[name]
    model = categorical.fit(jax.random.key(seed), drawn.pixels[drawn.train], 3, **settings)
    codes = np.asarray(categorical.transform(model, drawn.pixels).argmax(-1))
    return judged(drawn, codes) | {
        "loss": float(model.reading.loss),
        "median loss of the restarts": float(np.median(model.losses)),
    }


def judged(drawn: Words, states: np.ndarray) -> Row:
    """The match of states (words, factors) with the letters, and what they leave of words that no fit has seen."""
    one_hot = np.concatenate([np.eye(int(column.max()) + 1)[column] for column in states.T], axis=1)
    return {
        "match": float(evaluation.matched_information(states, data.word_grid().labels).score),
        "unexplained of test words": unexplained_of_test_words(drawn, one_hot),
    }


def autoencoder_row(reader: autoencoder.Reader, drawn: Words, num_factors: int, seed: int, epochs: int) -> Row:
    """The purity of the codes by one reader, and what readers lose."""
    model = autoencoder.fit(
        jax.random.key(seed),
        drawn.pixels[drawn.train],
        num_factors,
        variables="binary",
        reader=reader,
        widths=(128, 64),
        batch_size=64,
        num_epochs=epochs,
    )
    codes = autoencoder.transform(model, drawn.pixels)
    return {
        "purity": float(evaluation.factorial_purity(codes, data.word_grid().labels).purity),
        "unexplained of test words": unexplained_of_test_words(drawn, np.asarray(codes)),
        "independent reader": float(model.losses.independent.sum()),
        "joint decoder": float(model.losses.joint.sum()),
        "difference": float(model.synergies.sum()),
    }
