"""Part of the benchmark on what audits find beside wrong labels: false alarms in clean data, and what is planted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.harness import Part, Report, Row, announce
from benchmarks.tables import Table
from infotheory_dl import audit, data
from infotheory_dl.audit.checks.order import most_alike

_LEVEL = 0.05
_QUICK: dict[str, Any] = {"num_networks": 1, "sweep": 0, "runs": 0, "seeds": 0}


@dataclass(frozen=True)
class Findings:
    """Audits of drawn data, clean and with faults."""

    examples: int = 300
    features: int = 8
    draws: int = 40
    planted: int = 10
    """How many copies, leaks, outlying inputs and outlying targets."""
    seed: int = 0


class Found(NamedTuple):
    """What one audit found of one kind.

    Attributes:
      alarms: how many findings, or 1 where a single test speaks up.
      right: how many of them were planted.
      planted: how many there are.
    """

    alarms: int
    right: int
    planted: int


Finds: TypeAlias = dict[str, Found]


def findings(settings: Findings) -> Report:
    """How often clean data raise an alarm, how much of what is planted is found, and what else is."""

    def rows() -> Iterator[Row]:
        clean, faulty = list[Finds](), list[Finds]()
        for draw in range(settings.draws):
            announce(f"draw {draw + 1} of {settings.draws}")
            for found, planted in ((clean, 0), (faulty, settings.planted)):
                found.append({**_of_classes(settings, draw, planted), **_of_targets(settings, draw, planted)})
        for name in clean[0]:
            alarms = [one[name].alarms for one in faulty]
            right, planted = (sum(getattr(one[name], field) for one in faulty) for field in ("right", "planted"))
            yield {
                "finding": name,
                "clean sets with an alarm, %": 100 * float(np.mean([one[name].alarms > 0 for one in clean])),
                "found of what is planted, %": 100 * right / planted,
                "false among the findings, %": 100 * (1 - right / sum(alarms)) if sum(alarms) else None,
            }

    return Report(f"{settings.draws} draws of {settings.examples} examples; the level is {_LEVEL:.0%}", rows())


def _of_classes(settings: Findings, draw: int, planted: int) -> Finds:
    n, rng = settings.examples, np.random.default_rng((settings.seed, draw))
    y, held_out_y = rng.integers(0, 3, n), rng.integers(0, 3, n // 3)
    drawn = lambda labels: (
        rng.normal(size=(len(labels), settings.features)) + 1.5 * np.eye(3, settings.features)[labels]
    )
    x, held_out = drawn(y), drawn(held_out_y)
    copies, originals, leaked, outlying = np.split(rng.permutation(n)[: 4 * planted], 4)
    nearly = lambda places: x[places] + 1e-2 * rng.normal(size=(planted, settings.features))
    x[copies] = nearly(originals)
    held_out[:planted] = nearly(leaked)
    x[outlying] *= 4
    checks = audit.run(jax.random.key(draw), x, y, held_out=(held_out, held_out_y), **_QUICK).checks
    assert checks.leaks is not None
    found = {frozenset(pair) for pair in zip(checks.copies.first.tolist(), checks.copies.second.tolist(), strict=True)}
    right = found & {frozenset(pair) for pair in zip(copies.tolist(), originals.tolist(), strict=True)}
    return {
        "copies": Found(len(found), len(right), planted),
        "leaks": Found(len(checks.leaks.first), int((checks.leaks.first < planted).sum()), planted),
        "outlying examples": _marked(checks.outlying.is_outlying, outlying),
        **_of_order(settings, draw, x, y, planted),
    }


def _of_order(
    settings: Findings,
    draw: int,
    x: Float[np.ndarray, "examples features"],
    y: Int[np.ndarray, " examples"],
    planted: int,
) -> Finds:
    """Rows that are nearly sorted by a feature, and a source in which two labels in five are wrong."""
    rng = np.random.default_rng((settings.seed, draw, 1))
    order = np.argsort(x[:, 0] + 2 * rng.normal(size=len(x))) if planted else np.arange(len(x))
    x, y = x[order], y[order].copy()
    source = rng.integers(0, 5, len(x))
    if planted:
        moved = (source == 0) & (rng.random(len(x)) < 0.4)
        y[moved] = (y[moved] + 1) % 3
    columns = {f"x{j}": column for j, column in enumerate(x.T)}
    table = data.as_table(columns | {"source": source.astype(str), "y": y}, label="y")
    checks = audit.run(jax.random.key(draw), table, **_QUICK).checks
    assert checks.sources is not None
    sorted_at_all = most_alike([("inputs", checks.order.inputs), ("margins", checks.order.margins)])[1] <= _LEVEL
    return {
        "order": Found(int(sorted_at_all), int(sorted_at_all and planted > 0), 1),
        "sources": _marked(checks.sources.q_value <= _LEVEL, np.arange(1 if planted else 0)),
    }


def _of_targets(settings: Findings, draw: int, planted: int) -> Finds:
    n, rng = settings.examples, np.random.default_rng((settings.seed, draw, 2))
    x = rng.normal(size=(n, settings.features))
    y = 2 * x[:, 0] + np.tanh(x[:, 1]) + 0.5 * rng.normal(size=n)
    places = rng.permutation(n)[:planted]
    y[places] += rng.choice([-4, 4], planted)
    residuals = audit.run_regression(jax.random.key(draw), x, y, num_networks=1).residuals
    return {"targets out of line": _marked(residuals.is_outlying, places)}


def _marked(is_found: Bool[np.ndarray, " examples"], planted: Int[np.ndarray, " planted"]) -> Found:
    return Found(int(is_found.sum()), int(is_found[planted].sum()), len(planted))


PARTS = {
    "findings": Part(
        findings,
        Findings(),
        smoke=Findings(examples=60, draws=1, planted=3),
        table=Table(
            ("finding",),
            ("clean sets with an alarm, %", "found of what is planted, %", "false among the findings, %"),
        ),
    ),
}
