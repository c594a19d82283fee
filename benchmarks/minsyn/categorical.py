"""Categorical factors of words: seconds of a restart, and whether the best one's factors are letters."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from benchmarks.harness import Report, Row, announce, measure
from infotheory_dl import data
from infotheory_dl.minsyn import categorical, evaluation


@dataclass(frozen=True)
class CategoricalFits:
    """Whole fits of the images of words, from several keys."""

    restarts: int = 16
    num_steps: int = 1600
    batch_sizes: tuple[int | None, ...] = (None, 32)
    """Samples in a step; None for all."""
    keys: int = 3
    repeats: int = 3


def categorical_fits(settings: CategoricalFits) -> Report:
    """Seconds of fits of all restarts, and the match of the best one's factors with the letters of all words."""
    title = f"{settings.restarts} restarts of {settings.num_steps} steps on words, three factors of eight states"
    match = "Match: normalised information of factors and letters, over all words; the least and largest of the keys."
    return Report(title, rows_of(settings), [match])


def rows_of(settings: CategoricalFits) -> Iterator[Row]:
    """One row for each size of the batches."""
    grid = data.word_grid()
    pixels = data.words(grid.words).images[:, ::2, ::2].reshape(len(grid.words), -1) > 0.5
    pixels = pixels[:, pixels[grid.valid].std(0) > 0].astype(np.float32)
    x = pixels[grid.valid]
    for batch_size in settings.batch_sizes:
        given: dict[str, Any] = {"restarts": settings.restarts, "num_steps": settings.num_steps}
        given["batch_size"] = batch_size

        def fitted(key: int, given: dict[str, Any] = given) -> categorical.CategoricalMinSyn:
            return jax.block_until_ready(categorical.fit(jax.random.key(key), x, 3, **given))

        announce(f"batches of {batch_size or len(x)}")
        found, timing = measure(lambda: fitted(0), repeats=settings.repeats)
        begun = time.process_time()
        models = [found, *(fitted(key) for key in range(1, settings.keys))]
        spent = time.process_time() - begun
        codes = [categorical.transform(model, pixels).argmax(-1) for model in models]
        scores = [float(evaluation.matched_information(one, grid.labels).score) for one in codes]
        yield {
            "batch": batch_size or len(x),
            "seconds": timing.median,
            "seconds a restart": timing.median / settings.restarts,
            "CPU seconds": spent / (settings.keys - 1) if settings.keys > 1 else None,
            "compilation": timing.compilation,
            "match, least": min(scores),
            "match, largest": max(scores),
            "loss, largest": max(float(model.reading.loss) for model in models),
        }
