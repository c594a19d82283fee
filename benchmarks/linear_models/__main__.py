"""Logistic regression: many problems as one program, beside a loop over them with scikit-learn.

`python -m benchmarks.linear_models --help` lists the parts; without a part all of them run.
"""

import functools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression

from benchmarks.harness import Part, Report, Row, announce, main, timed
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import linear_models

PenaltyName: TypeAlias = Literal["l2", "l1"]

# with more features the matrices of this solver take it minutes
_MOST_FOR_CHOLESKY = 128


@dataclass(frozen=True)
class Problems:
    """Binary problems on the same inputs, as 25 labels of patients are."""

    examples: int = 6000
    problems: int = 25
    cases: tuple[tuple[int, PenaltyName, float], ...] = (
        (64, "l2", 1.0),
        (64, "l1", 0.1),
        (714, "l2", 0.001),
        (714, "l2", 1.0),
        (714, "l1", 0.1),
    )
    """Features, penalty, and the C of scikit-learn."""
    repeats: int = 3


class Task(NamedTuple):
    """Inputs, the labels of every problem, and the penalty of all of them."""

    x: Float[np.ndarray, "examples features"]
    y: Int[np.ndarray, "problems examples"]
    penalty: PenaltyName
    factor: float


Solver: TypeAlias = Callable[[Task], Float[Any, "problems features_and_one"]]


def problems(settings: Problems) -> Report:
    """Seconds for all problems."""

    def rows() -> Iterator[Row]:
        for features, penalty, inverse in settings.cases:
            task = draw(settings.examples, features, settings.problems, penalty, inverse)
            solvers = solvers_of(task)
            announce(f"{features} features, {penalty}, C = {inverse:g}")
            first = {name: timed(functools.partial(solver, task)) for name, solver in solvers.items()}
            seconds: dict[str, list[float]] = {name: [] for name in solvers}
            for _ in range(settings.repeats):
                for name, solver in solvers.items():
                    seconds[name].append(timed(functools.partial(solver, task))[1])
            medians = {name: statistics.median(taken) for name, taken in seconds.items()}
            for name, (solution, warm) in first.items():
                ours = name.startswith("ours")
                yield {
                    "problem": f"{features} features, {penalty.upper()}, C = {inverse:g}",
                    "solver": name,
                    "seconds": medians[name],
                    "ratio": None if ours else medians[name] / medians["ours"],
                    "compilation": max(0.0, warm - medians[name]) if ours else None,
                    "slope": steepest_slope(task, np.asarray(solution, float)),
                }

    title = f"Seconds for {settings.problems} problems of {settings.examples} examples"
    slope = "Slope: the largest of the objective by a coefficient, what an L1 penalty holds left out."
    return Report(title, rows(), [slope])


def draw(examples: int, features: int, problems: int, penalty: PenaltyName, inverse_penalty: float) -> Task:
    """Standardised features, of which groups depend on each other, and labels that some of them tell."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(examples, -(-features // 7)))
    # as the statistics of one channel in seven windows do
    x = np.repeat(shared, 7, axis=1)[:, :features] + 0.3 * random.normal(size=(examples, features))
    x = (x - x.mean(0)) / x.std(0)
    directions = random.normal(size=(features, problems)) * (random.random((features, problems)) < 20 / features)
    logits = x @ directions / 3 - 1.5 * np.abs(random.normal(size=problems))
    y = (random.random((examples, problems)) < 1 / (1 + np.exp(-logits))).astype(int)
    return Task(x, y.T, penalty, 1 / (inverse_penalty * examples))


def solvers_of(task: Task) -> dict[str, Solver]:
    """Ours, and the solvers of scikit-learn for such a penalty."""
    ours: dict[str, Solver] = {
        "ours": functools.partial(solve, dtype=np.float64),
        "ours, single precision": functools.partial(solve, dtype=np.float32),
    }
    names = {"l2": ["lbfgs"], "l1": ["liblinear"]}[task.penalty]
    if task.penalty == "l2" and task.x.shape[1] <= _MOST_FOR_CHOLESKY:
        names.append("newton-cholesky")
    return ours | {f"scikit-learn, {name}": functools.partial(loop, solver=name) for name in names}


def solve(task: Task, *, dtype: Any) -> jax.Array:
    """All problems in one program."""
    with jax.enable_x64(dtype == np.float64):
        l2, l1 = (task.factor, 0.0) if task.penalty == "l2" else (0.0, task.factor)
        model = linear_models.fit(task.x.astype(dtype), task.y, l2=l2, l1=l1)
        return jnp.concatenate([model.coefficients[..., 0], model.intercept], axis=1)


def loop(task: Task, *, solver: str) -> np.ndarray:
    """One problem after the other by scikit-learn, with its tolerance."""
    inverse = 1 / (task.factor * len(task.x))
    model = LogisticRegression(C=inverse, l1_ratio=float(task.penalty == "l1"), solver=solver, max_iter=1000)
    fits = (model.fit(task.x, labels) for labels in task.y)
    return np.stack([np.append(fit.coef_, fit.intercept_) for fit in fits])


def steepest_slope(task: Task, solution: Float[np.ndarray, "problems features_and_one"]) -> float:
    """How far the worst problem is from its optimum."""
    coefficients, intercept = solution[:, :-1], solution[:, -1]
    probabilities = 1 / (1 + np.exp(-coefficients @ task.x.T - intercept[:, None]))
    gradient = (probabilities - task.y) @ task.x / len(task.x)
    if task.penalty == "l2":
        slopes = gradient + task.factor * coefficients
    else:
        held = np.clip(-gradient, -task.factor, task.factor)
        slopes = gradient + np.where(coefficients == 0, held, task.factor * np.sign(coefficients))
    return float(np.abs(slopes).max())


PARTS = {
    "problems": Part(
        problems,
        Problems(),
        smoke=Problems(examples=100, problems=2, cases=((7, "l2", 1.0), (7, "l1", 0.1)), repeats=1),
        table=Table(("problem", "solver"), ("seconds", "ratio", "slope"), where=ON_CPU),
    ),
}

if __name__ == "__main__":
    main("linear_models", __doc__, PARTS)
