"""Linear CorEx and T-CorEx: the comparisons of Steeg et al., 2019, and Harutyunyan et al., 2019.

    python -m experiments.corex --preset smoke|laptop|paper [--parts static sudden ...] [--data-dir FOLDER]

Losses are negative log-likelihoods in nats per sample, under Gaussians of mean zero: on simulated data their exact
expectations. The published numbers were measured by running the published code on the draws that lie in
`tests/reference`, which are used here too unless `--published-draws None` asks for new ones. The real data are
`big5.npz` and `sp500_close_*.npz` in the folder that `--data-dir` names.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from sklearn.metrics import adjusted_rand_score

from experiments.corex import baselines as baselines
from experiments.corex import markets as markets
from experiments.corex.baselines import dense, gaussian_loss
from experiments.harness import Results, Row, in_parts, log_scale, main
from infotheory_dl import data
from infotheory_dl.corex import linear, temporal

Part = Literal["static", "blessing", "big_five", "sudden", "smooth", "stocks", "portfolio"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment; those of the papers by default."""

    parts: tuple[Part, ...] = ("static", "blessing", "big_five", "sudden", "smooth", "stocks", "portfolio")
    published_draws: Path | None = Path("tests/reference/corex_e2e.npz")
    """The draws of the published generators; None makes new ones."""
    data_dir: Path | None = None
    """The folder of the real data."""
    num_variables: int = 128
    """Of new draws."""
    factors: tuple[int, ...] = (8, 32)
    n: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Training samples of the static table, as long as there are two for each factor."""
    restarts: int = 1
    """Random starts of each fit of linear CorEx."""
    blessing_variables: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    blessing_factors: int = 64
    blessing_samples: int = 300
    blessing_iterations: int = 10_000
    """At most, in each stage of the noise."""
    blessing_tolerance: float = 1e-5
    blessing_restarts: int = 2
    num_periods: int = 10
    samples: int = 16
    """Of each period."""
    decay: tuple[float, ...] = (0.3, 0.5, 0.7)
    """Tried for T-CorEx, as are the penalties; the likelihood of other samples of the same periods decides."""
    l1: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    stock_days: tuple[int, int, int] = (16, 4, 4)
    """Of each period, for training, validation and test."""
    stock_factors: tuple[int, ...] = (16, 32, 64)
    stock_decay: tuple[float, ...] = (0.5, 0.7, 0.9)
    stock_l1: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    portfolio_days: tuple[int, int] = (12, 3)
    """Of each period, for training and validation."""
    portfolio_windows: int = 20
    """Times at which portfolios are chosen, for the days of the period that follows."""
    portfolio_returns: int = 100
    """Portfolios at each time, of expected returns from zero to that of the best hundredth of the stocks."""
    seed: int = 0
    output: Path = Path("results/corex/paper")


PRESETS = {
    "smoke": Settings(
        parts=("static", "blessing", "sudden"),
        published_draws=None,
        num_variables=32,
        factors=(4,),
        n=(16, 64),
        blessing_variables=(64, 128),
        blessing_factors=8,
        blessing_samples=100,
        blessing_iterations=100,
        blessing_restarts=2,
        decay=(0.3,),
        l1=(0.0, 0.3),
        output=Path("results/corex/smoke"),
    ),
    "laptop": Settings(
        blessing_variables=(256, 512, 1024),
        blessing_iterations=300,
        blessing_restarts=1,
        decay=(0.3, 0.5),
        l1=(0.3, 1.0),
        stock_factors=(16,),
        stock_decay=(0.7, 0.9),
        stock_l1=(1.0, 3.0),
        portfolio_windows=5,
        portfolio_returns=10,
        output=Path("results/corex/laptop"),
    ),
    "paper": Settings(),
}

# What the file of published draws calls the losses that the published code has on them.
PUBLISHED = {
    "truth": "truth",
    "diagonal": "diag",
    "Ledoit-Wolf": "ledoitwolf",
    "OAS": "oas",
    "PCA": "pca",
    "factor analysis": "fa",
    "graphical lasso": "glasso_std_a0.1_a0.3",
    "linear CorEx": "qn",
    "clusters, adjusted Rand": "qn_ari_mi",
}
PRICES = ("sp500_close_2007_2016.npz", "sp500_close_2003_2008.npz")

# Of the blessing of dimensionality.
SIGNAL_TO_NOISE = 0.1

# Measured with the published code.
PUBLISHED_BIG_FIVE = {
    "total correlation": 8.209,
    "of the factors": (2.557, 2.274, 1.210, 1.116, 1.109),
    "adjusted Rand index": 1.0,
}


def static(settings: Settings, results: Results) -> None:
    """The loss of every estimate of a covariance, by the number of samples that it is from."""
    published = published_numbers(settings)
    for num_factors in settings.factors:
        x, covariance, parents = static_draw(settings, num_factors)
        sizes = [n for n in settings.n if n >= 2 * num_factors]
        columns = {
            n: results.once(
                f"static m={num_factors} n={n}",
                functools.partial(static_losses, settings, num_factors, x[:n], covariance, parents),
            )
            for n in sizes
        }
        rows = []
        for method in columns[sizes[0]]:
            prefix, suffix = f"static_m{num_factors}_n", f"_{PUBLISHED[method]}"
            cells = {
                f"n = {n}": beside(row[method], published.get(f"{prefix}{n}{suffix}")) for n, row in columns.items()
            }
            rows.append({"estimate": method} | cells)
        results.table(f"Loss by training samples, {num_factors} factors (published code)", rows)


def static_draw(settings: Settings, num_factors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, their covariance, and the factor of every variable."""
    if settings.published_draws is not None:
        drawn = published_numbers(settings)
        covariance = drawn[f"static_m{num_factors}_cov"]
        parents = np.arange(len(covariance)) * num_factors // len(covariance)
        return drawn[f"static_m{num_factors}_x"], covariance, parents
    key_model, key_samples = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), num_factors))
    model = data.modular_factors(key_model, settings.num_variables, num_factors)
    x = data.sample_latent_factors(key_samples, model, max(settings.n))
    return x, data.latent_factor_covariance(model), model.parents


def static_losses(
    settings: Settings, num_factors: int, x: np.ndarray, covariance: np.ndarray, parents: np.ndarray
) -> Row:
    """The loss of every method on one training set."""
    loss = functools.partial(gaussian_loss, second_moments=covariance)
    row: Row = {"truth": loss(covariance)}
    row |= {name: loss(estimate(x, num_factors)) for name, estimate in baselines.COVARIANCES.items()}
    row["graphical lasso"] = baselines.best_sparse_inverse(x[None], loss)
    model = linear.fit(jax.random.key(settings.seed), x, num_factors, num_restarts=settings.restarts)
    row["linear CorEx"] = loss(dense(linear.covariance(model)))
    row["clusters, adjusted Rand"] = float(adjusted_rand_score(parents, linear.clusters(model)))
    return row


def blessing(settings: Settings, results: Results) -> None:
    """Whether more variables of the same few factors make the clusters easier to find."""
    rows = [
        results.once(f"blessing p={size}", functools.partial(blessing_scores, settings, size))
        for size in settings.blessing_variables
    ]
    m, n = settings.blessing_factors, settings.blessing_samples
    # a factor leaves the noise of the sample eigenvalues when p / m * correlation² > sqrt(p / n)
    visible = m**2 / n * (1 + 1 / SIGNAL_TO_NOISE) ** 2
    results.table(
        f"Adjusted Rand index of the clusters, {m} factors, {n} samples, signal-to-noise {SIGNAL_TO_NOISE}",
        rows,
        notes=[f"Below about {visible:,.0f} variables the factors lie within the noise of the sample eigenvalues."],
    )
    caption = (
        "More variables of the same factors make the clusters easier to find, for linear CorEx alone (linear CorEx,"
        " figure 2; its numbers are not known here)."
    )
    with results.figure("blessing", caption=caption) as axes:
        for method in ("linear CorEx", "factor analysis", "PCA, k-means"):
            axes.plot(settings.blessing_variables, [row[method] for row in rows], "o-", label=method)
        log_scale(axes, settings.blessing_variables)
        axes.set(xlabel="variables", ylabel="adjusted Rand index", ylim=(-0.02, 1.02))


def blessing_scores(settings: Settings, num_variables: int) -> Row:
    """The clusters of three methods on one draw."""
    m, seed = settings.blessing_factors, settings.seed
    key_model, key_samples, key_fit = jax.random.split(jax.random.fold_in(jax.random.key(seed), num_variables), 3)
    truth = data.modular_factors(key_model, num_variables, m, signal_to_noise=SIGNAL_TO_NOISE, std=1.0)
    x = data.sample_latent_factors(key_samples, truth, settings.blessing_samples)
    # from weak signals the objective grows by less than single precision tells, long before it has found them
    with jax.enable_x64(True):
        model = linear.fit(
            key_fit,
            x.astype(float),
            m,
            num_restarts=settings.blessing_restarts,
            max_iterations=settings.blessing_iterations,
            tolerance=settings.blessing_tolerance,
        )
        found = np.asarray(linear.clusters(model))
    score = lambda clusters: float(adjusted_rand_score(truth.parents, clusters))
    return {
        "variables": num_variables,
        "linear CorEx": score(found),
        "factor analysis": score(baselines.factor_analysis_clusters(x, m, seed)),
        "PCA, k-means": score(baselines.principal_component_clusters(x, m, seed)),
        "iterations": len(model.history),
        "converged": bool(model.converged),
    }


def big_five(settings: Settings, results: Results) -> None:
    """Five factors of the answers to fifty questions, and the traits that the questions were written for."""
    answers = read(settings, "big5.npz")
    fit = functools.partial(linear.fit, num_factors=5, missing="mean", missing_value=-1)
    model = fit(jax.random.key(settings.seed), answers["x"])

    def compute() -> Row:
        return {
            "total correlation": float(model.total_correlation),
            "of the factors": [round(float(value), 3) for value in model.total_correlations],
            "adjusted Rand index": float(adjusted_rand_score(answers["trait"], linear.clusters(model, by="weight"))),
        }

    row = results.once("big five", compute)
    results.table(
        "Big five: the clusters by weight and the traits",
        [{"": name, "ours": row[name], "published code": value} for name, value in PUBLISHED_BIG_FIVE.items()],
    )
    caption = (
        "Fifty questions, each below the factor that tells most of it; the width is this information, and dashed is a"
        " negative correlation. By weight the groups are the five traits, of the published code too."
    )
    with results.figure("big_five", caption=caption, size=(12.5, 4)) as axes:
        linear.draw_factor_graph(linear.factor_graph(model, names=answers["columns"].tolist()), axes)


def changing(settings: Settings, results: Results, kind: Literal["sudden", "smooth"]) -> None:
    """The loss of every estimate of covariances that change, mean over the periods."""
    row = results.once(kind, functools.partial(changing_losses, settings, kind))
    published = published_numbers(settings)
    # the best of the published settings
    best = [published[name] for name in published if name.startswith(f"{kind}_res_tcorex") and name[-1].isdigit()]
    known = {name: published.get(f"{kind}_res_{PUBLISHED.get(name, name)}") for name in row["losses"]}
    known["T-CorEx"] = np.min(best) if best else None
    results.table(
        f"Loss, {kind} change, {settings.samples} samples a period (published code)",
        [{"estimate": name, "loss": beside(loss, known[name])} for name, loss in row["losses"].items()],
        notes=[f"T-CorEx: decay {row['decay']}, l1 {row['l1']} by other samples."],
    )


def changing_losses(settings: Settings, kind: Literal["sudden", "smooth"]) -> Row:
    """The loss of every method on one draw of changing covariances."""
    train, validation, covariances = changing_draw(settings, kind)
    m = settings.factors[0]
    loss = functools.partial(gaussian_loss, second_moments=covariances)
    losses = {"truth": loss(covariances)}
    for name, estimate in baselines.COVARIANCES.items():
        losses[name] = loss(np.stack([estimate(x, m) for x in train]))
    losses["linear CorEx"] = loss(np.stack([baselines.linear_corex(x, m, settings.seed) for x in train]))
    losses["linear CorEx, all periods"] = loss(baselines.linear_corex(np.concatenate(train), m, settings.seed))
    sparse = [
        baselines.time_varying_covariances(train, sparsity, smoothness)
        for sparsity in baselines.PENALTIES
        for smoothness in (0.1, 1.0)
    ]
    held_out = baselines.second_moments(validation)
    losses["time-varying graphical lasso"] = loss(min(sparse, key=lambda estimate: gaussian_loss(estimate, held_out)))
    key = jax.random.key(settings.seed)
    chosen = temporal.select(key, train, m, validation, decay=settings.decay, l1=settings.l1)
    losses["T-CorEx"] = loss(dense(temporal.covariances(chosen.model)))
    return {"losses": losses, "decay": float(chosen.decay), "l1": float(chosen.l1)}


def changing_draw(settings: Settings, kind: Literal["sudden", "smooth"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training and validation samples of every period, and the covariances."""
    if settings.published_draws is not None:
        drawn = published_numbers(settings)
        train, covariances = drawn[f"{kind}_train"], drawn[f"{kind}_cov"]
        return train, drawn[f"{kind}_val"], np.repeat(covariances, len(train) // len(covariances), axis=0)
    draw = {"sudden": data.suddenly_changing_factors, "smooth": data.smoothly_changing_factors}[kind]
    keys = jax.random.split(jax.random.key(settings.seed), 3)
    truth = draw(keys[0], settings.num_periods, settings.num_variables, settings.factors[0])
    train, validation = (data.sample_latent_factors(key, truth, settings.samples) for key in keys[1:])
    return train, validation, data.latent_factor_covariance(truth)


def stocks(settings: Settings, results: Results) -> None:
    """The loss of every estimate on other days of the same periods, for each table of prices."""
    days, grid = settings.stock_days, {"decay": settings.stock_decay, "l1": settings.stock_l1}
    columns, choices = {}, []
    for name in PRICES:
        returns = markets.log_returns(read(settings, name))
        rng = np.random.default_rng(settings.seed)
        splits = markets.standardised_periods(returns, days, settings.num_periods, rng)
        losses = results.once(f"stocks {name}", functools.partial(markets.losses_of, splits))
        tried = [
            results.once(
                f"stocks {name} m={m}",
                functools.partial(markets.corex_losses_of, splits, m, seed=settings.seed, **grid),
            )
            for m in settings.stock_factors
        ]
        for method in ("linear CorEx, all periods", "T-CorEx"):
            best = min((row[method] for row in tried), key=lambda row: row["validation"])
            losses[method] = best["test"]
        choices.append(f"T-CorEx, {name}: {best['factors']} factors, decay {best['decay']}, l1 {best['l1']}.")
        columns[name] = losses
    results.table(
        f"Loss on other days, {settings.num_periods} periods of {days[0]} days",
        [{"estimate": method} | {name: losses[method] for name, losses in columns.items()} for method in losses],
        notes=choices,
    )


def portfolio(settings: Settings, results: Results) -> None:
    """Risk and return, on the days that follow, of portfolios of least variance by every estimate."""
    returns = markets.log_returns(read(settings, PRICES[0]))
    days, num_factors = settings.portfolio_days, settings.stock_factors[0]
    grid = {"decay": settings.stock_decay, "l1": settings.stock_l1}

    def compute(start: int) -> Row:
        past, ahead = np.split(returns[start - settings.num_periods * sum(days) : start + sum(days)], [-sum(days)])
        splits = markets.shuffled_periods(past, (*days, 0), settings.num_periods, np.random.default_rng(settings.seed))
        return markets.outcomes_of(splits, ahead, num_factors, settings.portfolio_returns, seed=settings.seed, **grid)

    first = len(returns) - settings.portfolio_windows * sum(days)
    rows = [
        results.once(f"portfolio at day {start}", functools.partial(compute, start))
        for start in range(first, len(returns), sum(days))
    ]
    mean = lambda method, what: float(np.mean([row[method][what] for row in rows]))
    results.table(
        f"Portfolios of least variance, {sum(days)} days ahead, in per cent a day, mean of {len(rows)} times",
        [
            {"estimate": method, "deviation": mean(method, "deviation"), "return": mean(method, "return")}
            for method in rows[0]
        ],
    )


def published_numbers(settings: Settings) -> dict[str, np.ndarray]:
    """The draws of the published generators, and the losses of the published code on them; empty if not used."""
    if settings.published_draws is None:
        return {}
    with np.load(settings.published_draws) as arrays:
        return dict(arrays)


def read(settings: Settings, name: str) -> dict[str, np.ndarray]:
    """The arrays of one file of real data."""
    if settings.data_dir is None or not (settings.data_dir / name).exists():
        where = "no --data-dir was given" if settings.data_dir is None else f"it is not in {settings.data_dir}"
        raise SystemExit(f"{name} is absent: {where}; give its folder by --data-dir, or choose other --parts")
    with np.load(settings.data_dir / name) as arrays:
        return dict(arrays)


def beside(ours: float, published: np.ndarray | None) -> str:
    """Our number with the published one in brackets, the best of several that it may be."""
    digits = 2 if abs(ours) <= 1 else 1
    return f"{ours:.{digits}f}" + ("" if published is None else f" ({np.nanmin(published):.{digits}f})")


PARTS: dict[Part, Callable[[Settings, Results], None]] = {
    "static": static,
    "blessing": blessing,
    "big_five": big_five,
    "sudden": functools.partial(changing, kind="sudden"),
    "smooth": functools.partial(changing, kind="smooth"),
    "stocks": stocks,
    "portfolio": portfolio,
}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
