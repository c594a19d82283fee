"""MinSyn: the factors behind data whose causes are correlated, such as the letters of words.

python -m experiments.minsyn --preset smoke|laptop|paper [--parts words correlated ...]

Codes are fitted to images of the valid words and judged on all words, where the letters of positions are independent.
The published numbers are those of the published code of linear CorEx on the same images.
"""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.metrics import adjusted_rand_score

from experiments.harness import Results, Row, in_parts, main
from experiments.minsyn import baselines
from experiments.minsyn.baselines import Words
from experiments.minsyn.learners import CATEGORICAL_RUNS, autoencoder_row, categorical_row, judged
from infotheory_dl import data, minsyn
from infotheory_dl.corex import linear as corex
from infotheory_dl.minsyn import autoencoder, evaluation, linear

Part = Literal["words", "synergy", "pictures", "correlated", "grue", "categorical", "autoencoders"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("words", "synergy", "pictures", "correlated", "grue", "categorical", "autoencoders")
    factors: tuple[int, ...] = (3, 6, 12, 21)
    seeds: int = 3
    restarts: int = 8
    noise: float = 0.05
    """That stays on the pixels, in a fit beside the one without."""
    betas: tuple[float, ...] = (1.0, 4.0)
    """Of the variational autoencoders: what a nat of the codes costs."""
    epochs: int = 2000
    """Of the autoencoders."""
    correlations: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)
    """Of the factors that drive the groups."""
    num_groups: int = 4
    num_variables: int = 40
    n: int = 1000
    draws: int = 5
    """Of the groups and their samples, and of things that are grue."""
    categorical_runs: tuple[str, ...] = tuple(CATEGORICAL_RUNS)
    categorical_restarts: int = 16
    categorical_steps: int = 1600
    seed: int = 0
    output: Path = Path("results/minsyn/paper")


PRESETS = {
    "smoke": Settings(
        parts=("words", "synergy", "pictures", "grue", "categorical", "autoencoders"),
        factors=(3,),
        seeds=1,
        restarts=2,
        betas=(1.0,),
        epochs=20,
        n=200,
        draws=1,
        categorical_runs=("default",),
        categorical_restarts=2,
        categorical_steps=20,
        output=Path("results/minsyn/smoke"),
    ),
    "laptop": Settings(factors=(3, 6), draws=3, epochs=500, output=Path("results/minsyn/laptop")),
    "paper": Settings(),
}

# purity and largest objective over three seeds of the published code
PUBLISHED_PURITY = {3: "0.999-1.000", 6: "0.999-1.000", 12: "0.997-0.998", 21: "0.992-0.996"}
PUBLISHED_OBJECTIVE = {3: "93.7", 6: "155.6", 12: "210.4"}


def words(settings: Settings, results: Results) -> None:
    """The purity of the codes of every method, by the number of factors."""
    found = {m: results.once(f"words m={m}", functools.partial(purities, settings, m)) for m in settings.factors}
    methods = found[settings.factors[0]]["purity"]
    rows: list[Row] = [
        {"codes": method} | {f"{m} factors": spread(row["purity"][method]) for m, row in found.items()}
        for method in methods
    ]
    rows.append({"codes": "MinSyn, published code"} | {f"{m} factors": PUBLISHED_PURITY.get(m) for m in found})
    results.table(f"Purity of codes on all 512 words, from worst to best of {settings.seeds} seeds", rows)
    results.table(
        "Mean square of the standardised pixels of the 377 other words that a linear map of the codes leaves",
        [
            {"codes": method} | {f"{m} factors": spread(row["unexplained"][method]) for m, row in found.items()}
            for method in methods
        ],
    )
    shown = lambda row, name: f"{max(row['objective'][name]):.1f}, {row['positions'][name]}"
    fits: list[Row] = [
        {"fit": name} | {f"{m} factors": shown(row, name) for m, row in found.items()}
        for name in found[settings.factors[0]]["objective"]
    ]
    fits.append({"fit": "published code"} | {f"{m} factors": PUBLISHED_OBJECTIVE.get(m) for m in found})
    results.table(
        "The best objective of MinSyn in nats, and how many factors of that fit each position has",
        fits,
        notes=["Images that do not vary have pixels that are copies: without noise nothing bounds it but rounding."],
    )


def purities(settings: Settings, num_factors: int) -> Row:
    """The purity of every method for every seed, and the objectives of MinSyn."""
    drawn, labels = word_pixels(), data.word_grid().labels
    purity = lambda codes: float(evaluation.factorial_purity(codes, labels).purity)
    seeds = range(settings.seed, settings.seed + settings.seeds)
    noises = {"MinSyn": 0.0, f"MinSyn, noise {settings.noise:g}": settings.noise}
    fits = {
        name: [minimal_synergy(drawn, num_factors, seed, settings.restarts, noise) for seed in seeds]
        for name, noise in noises.items()
    }
    codes: dict[str, list[np.ndarray]] = {name: [found for found, _ in of_noise] for name, of_noise in fits.items()}
    for name, method in {
        "linear CorEx with synergy": baselines.overlapping_corex,
        "PCA": baselines.principal_components,
        "ICA": baselines.independent_components,
        "NMF": baselines.non_negative_factors,
    }.items():
        codes[name] = [method(drawn, num_factors, seed) for seed in seeds]
    trained = baselines.autoencoder_codes(drawn, num_factors, settings.betas, tuple(seeds), settings.epochs)
    codes |= {f"VAE, beta {beta:g}": list(found) for beta, found in zip(settings.betas, trained, strict=True)}
    for name in ("PCA", f"VAE, beta {settings.betas[0]:g}"):
        of_seeds = zip(codes[name], seeds, strict=True)
        codes[f"{name}, rotated"] = [rotated(drawn, found, seed) for found, seed in of_seeds]
    return {
        "purity": {name: [purity(one) for one in found] for name, found in codes.items()},
        "unexplained": {
            name: [baselines.unexplained_of_test_words(drawn, one) for one in found] for name, found in codes.items()
        },
        "objective": {name: [value for _, value in of_noise] for name, of_noise in fits.items()},
        "positions": {name: evaluation.factorial_purity(best_of(fits[name]), labels).codes_of for name in noises},
    }


def synergy(settings: Settings, results: Results) -> None:
    """How much of what codes tell of the pixels is synergy."""
    drawn, m, seed = word_pixels(), settings.factors[0], settings.seed
    codes = {
        "MinSyn": minimal_synergy(drawn, m, seed, settings.seeds * settings.restarts, settings.noise)[0],
        "PCA": baselines.principal_components(drawn, m, seed),
        "ICA": baselines.independent_components(drawn, m, seed),
        "linear CorEx with synergy": baselines.overlapping_corex(drawn, m, seed),
    }

    def row(name: str) -> Row:
        with jax.enable_x64(True):
            found = codes[name][drawn.train].astype(float)
            report = minsyn.synergy_report(found, drawn.standardised[drawn.train])
        totals = {
            "information": report.information,
            "S_CI": report.synergy,
            "S_cal": report.calibrated_synergy,
            "whole minus sum": report.whole_minus_sum,
        }
        return {name: float(np.asarray(values).sum()) for name, values in totals.items()}

    rows = [{"codes": name} | results.once(f"synergy {name}", functools.partial(row, name)) for name in codes]
    results.table(f"Nats that {m} codes tell of all pixels of the training words", rows)
    whole = np.zeros((int(drawn.train.sum()), *SHOWN))
    whole.reshape(len(whole), -1)[:, live_pixels()] = drawn.standardised[drawn.train]
    for name in ("MinSyn", "PCA"):
        report = minsyn.synergy_report(codes[name][drawn.train], whole)
        caption = (
            f"What {m} codes of {name} tell of each pixel of the words, in nats: all together, only together, and what"
            " hiding one loses. What the paper wants is that each is told however many others are hidden."
        )
        results.save(minsyn.draw_synergy(report), f"synergy_{name}", caption)


def pictures(settings: Settings, results: Results) -> None:
    """The correlations of every pixel with every factor."""
    drawn, m, seed = word_pixels(), settings.factors[0], settings.seed
    methods = {
        "MinSyn": minimal_synergy(drawn, m, seed, settings.seeds * settings.restarts, settings.noise)[0],
        "PCA": baselines.principal_components(drawn, m, seed),
        "ICA": baselines.independent_components(drawn, m, seed),
    }
    x = drawn.standardised[drawn.train]
    caption = (
        "Correlations of the pixels with each code, red -1, blue 1. The paper's claim is that MinSyn's codes part"
        " the letters, and independent ones do not; its letters are of EMNIST, these of a font."
    )
    with results.figure("factors", len(methods), m, caption=caption, size=(3 * m, 1.3 * len(methods))) as axes:
        for row, (name, codes) in zip(axes, methods.items(), strict=True):
            shown = codes[drawn.train]
            shown = (shown - shown.mean(0)) / shown.std(0)
            for place, (cell, code) in enumerate(zip(row, shown.T, strict=True)):
                image = np.zeros(SHOWN)
                image.reshape(-1)[live_pixels()] = code @ x / len(x)
                cell.imshow(image, cmap="RdBu", vmin=-1, vmax=1)
                cell.set(xticks=[], yticks=[], title=name if place == 0 else "")


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
        mean = {name: float(np.mean([row[name] for row in scores])) for name in scores[0]}
        rows.append({"correlation": correlation} | mean)
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gaussian factors have no independent components to settle at
        ica = FastICA(m, random_state=draw, whiten="unit-variance", max_iter=1000).fit(x)
    overlapping = corex.fit(keys[2], x, m, overlapping=True)
    score = lambda groups: float(adjusted_rand_score(truth.parents, groups))
    return {
        "MinSyn": score(corex.clusters(model)),
        "ICA": score(np.abs(ica.mixing_).argmax(1)),
        "linear CorEx with synergy": score(corex.clusters(overlapping)),
    }


def grue(settings: Settings, results: Results) -> None:
    """Whether two codes of things that are grue or bleen are colour and time."""
    rows = []
    for agreement in (0.5, 0.7):
        scores = [
            results.once(f"grue {agreement}, draw {draw}", functools.partial(found_colours, settings, agreement, draw))
            for draw in range(settings.draws)
        ]
        for method in scores[0]:
            rows.append(
                {"green before, blue after": agreement, "codes": method}
                | {name: float(np.mean([score[method][name] for score in scores])) for name in scores[0][method]}
            )
    results.table(f"Largest correlation of a code with colour, time and grue, mean of {settings.draws} draws", rows)


def found_colours(settings: Settings, agreement: float, draw: int) -> Row:
    """How much the codes of each method are correlated with each binary factor."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), draw), 2)
    things = data.grue_bleen(keys[0], settings.n, agreement=agreement)
    model = linear.fit(keys[1], things.x, 2, restarts=settings.restarts)
    codes = {
        "MinSyn": np.asarray(corex.transform(model, things.x)),
        "PCA": PCA(2).fit_transform(things.x),
        "ICA": FastICA(2, random_state=draw, whiten="unit-variance").fit_transform(things.x),
    }
    factors = {"colour": things.colour, "time": things.time, "grue": things.grue}
    largest = lambda codes, factor: float(max(abs(np.corrcoef(code, factor)[0, 1]) for code in codes.T))
    return {name: {of: largest(found, factor) for of, factor in factors.items()} for name, found in codes.items()}


def categorical(settings: Settings, results: Results) -> None:
    """Whether categorical factors are the letters of words, by what leads out of poor optima."""
    seeds = range(settings.seed, settings.seed + settings.seeds)
    rows = [
        {"fit": name, "key": seed}
        | results.once(
            f"categorical {name}, key {seed}",
            functools.partial(
                categorical_row, name, binary_words(), seed, settings.categorical_restarts, settings.categorical_steps
            ),
        )
        for name in settings.categorical_runs
        for seed in seeds
    ]
    rows += [
        {"fit": "k-means of the pixels of each position", "key": seed} | judged(binary_words(), position_states(seed))
        for seed in seeds
    ]
    results.table(
        f"Match of three factors of eight states with the letters of all 512 words, the best of"
        f" {settings.categorical_restarts} restarts by its loss",
        rows,
        notes=[
            "The loss of the true letters is 0.28 nats. A prototype of this learner reached a match of 0.82 and 0.80."
        ],
    )


def position_states(seed: int) -> np.ndarray:
    """Clusters of the pixels of each position, as states of all words."""
    positions = np.broadcast_to(np.arange(SHOWN[1]) * 3 // SHOWN[1], SHOWN).reshape(-1)
    return baselines.clusters_of_positions(binary_words(), positions[live_pixels()][binary_pixels()], 8, seed)


def autoencoders(settings: Settings, results: Results) -> None:
    """The codes of autoencoders for each reader."""
    m = settings.factors[0]
    rows = [
        {"reader": reader}
        | results.once(
            f"autoencoder {reader}",
            functools.partial(autoencoder_row, reader, binary_words(), m, settings.seed, settings.epochs),
        )
        for reader in get_args(autoencoder.Reader)
    ]
    results.table(f"Autoencoders of {m} codes of words, nats of all pixels of the training words", rows)


def best_of(fits: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """The codes of the fit with the largest objective."""
    return max(fits, key=lambda fit: fit[1])[0]


def minimal_synergy(drawn: Words, num_factors: int, seed: int, restarts: int, noise: float) -> tuple[np.ndarray, float]:
    """Codes of all words by MinSyn, and the objective; in double precision."""
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # without noise, pixels are copies of each other
        x = drawn.standardised[drawn.train]
        model = linear.fit(jax.random.key(seed), x, num_factors, restarts=restarts, noise=noise)
        return np.asarray(corex.transform(model, drawn.standardised)), float(model.total_correlation)


def rotated(drawn: Words, codes: np.ndarray, seed: int) -> np.ndarray:
    """Codes after the map that leaves the least synergy in those of the training words."""
    with jax.enable_x64(True):
        codes = codes.astype(float)
        found = minsyn.rotate(jax.random.key(seed), codes[drawn.train], drawn.standardised[drawn.train])
        return (codes - found.mean) @ np.asarray(found.matrix).T


SHOWN = (14, 42)
"""Every second pixel of an image of three letters."""


@functools.cache
def word_pixels() -> Words:
    """The pixels of all words that vary among the valid ones."""
    grid = data.word_grid()
    pixels = every_second(data.words(grid.words).images).astype(float)[:, live_pixels()]
    return baselines.as_words(pixels, grid.valid)


@functools.cache
def binary_words() -> Words:
    """The same pixels, as bits."""
    drawn = word_pixels()
    bits = (drawn.pixels > 0.5).astype(np.float32)[:, binary_pixels()]
    return baselines.as_words(bits, drawn.train)


@functools.cache
def binary_pixels() -> np.ndarray:
    """Those of the pixels that vary that do so as bits too."""
    drawn = word_pixels()
    return np.flatnonzero((drawn.pixels[drawn.train] > 0.5).std(0))


@functools.cache
def live_pixels() -> np.ndarray:
    return np.flatnonzero(every_second(data.words().images).std(0))


def every_second(images: np.ndarray) -> np.ndarray:
    return images[:, ::2, ::2].reshape(len(images), -1)


def spread(values: list[float]) -> str:
    """The least and the largest of some numbers."""
    return f"{min(values):.3f}" + (f"-{max(values):.3f}" if max(values) - min(values) > 5e-4 else "")


PARTS: dict[Part, Callable[[Any, Results], None]] = {
    "words": words,
    "synergy": synergy,
    "pictures": pictures,
    "correlated": correlated,
    "grue": grue,
    "categorical": categorical,
    "autoencoders": autoencoders,
}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
