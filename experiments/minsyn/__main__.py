"""Linear MinSyn: the factors behind data whose causes are correlated.

python -m experiments.minsyn --preset smoke|laptop|paper [--parts correlated]
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from sklearn.decomposition import FastICA
from sklearn.metrics import adjusted_rand_score

from experiments.harness import Results, Row, in_parts, main
from infotheory_dl import data
from infotheory_dl.corex import linear as corex
from infotheory_dl.minsyn import linear

Part = Literal["correlated"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("correlated",)
    correlations: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)
    """Of the factors that drive the groups."""
    num_groups: int = 4
    num_variables: int = 40
    n: int = 1000
    draws: int = 5
    """Of the model and its samples."""
    restarts: int = 8
    seed: int = 0
    output: Path = Path("results/minsyn/paper")


PRESETS = {
    "smoke": Settings(
        correlations=(0.0, 0.8),
        num_variables=16,
        n=200,
        draws=1,
        restarts=2,
        output=Path("results/minsyn/smoke"),
    ),
    "laptop": Settings(draws=3, output=Path("results/minsyn/laptop")),
    "paper": Settings(),
}


def correlated(settings: Settings, results: Results) -> None:
    """Whether groups of variables are found whose factors are correlated."""
    rows: list[Row] = []
    for correlation in settings.correlations:
        scores = [
            results.once(
                f"correlated {correlation}, draw {draw}", functools.partial(found_groups, settings, correlation, draw)
            )
            for draw in range(settings.draws)
        ]
        methods = {method: float(np.mean([row[method] for row in scores])) for method in scores[0]}
        rows.append({"correlation": correlation} | methods)
    results.table(
        f"Adjusted Rand index of {settings.num_groups} groups by the correlation of their factors,"
        f" mean of {settings.draws} draws",
        rows,
    )


def found_groups(settings: Settings, correlation: float, draw: int) -> Row:
    """How well each method finds the groups of one draw."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), draw), 3)
    m = settings.num_groups
    truth = data.correlated_groups(keys[0], settings.num_variables, m, correlation=correlation)
    x = data.sample_latent_factors(keys[1], truth, settings.n)
    model = linear.fit(keys[2], x, m, restarts=settings.restarts)
    ica = FastICA(m, random_state=draw, whiten="unit-variance", max_iter=1000).fit(x)
    overlapping = corex.fit(keys[2], x, m, overlapping=True)
    score = lambda groups: float(adjusted_rand_score(truth.parents, groups))
    return {
        "MinSyn": score(corex.clusters(model)),
        "ICA": score(np.abs(ica.mixing_).argmax(1)),
        "linear CorEx with synergy": score(corex.clusters(overlapping)),
    }


PARTS: dict[Part, Callable[[Settings, Results], None]] = {"correlated": correlated}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
