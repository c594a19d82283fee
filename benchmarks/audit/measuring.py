"""What the parts of this benchmark share: an audit, and what it took and found."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float

from benchmarks.harness import Row, peak_memory, reset_peak_memory
from infotheory_dl import audit
from infotheory_dl.metrics import area_under_roc, average_precision

COLUMNS = ("AUROC", "AP", "CPU seconds", "seconds", "GiB")
"""Of the rows that `measured` and `measured_suspicion` make."""

Suspicion: TypeAlias = Float[np.ndarray, " examples"]
Wrong: TypeAlias = Bool[np.ndarray, " examples"]


def audited(seed: int, x: Any, y: Any, flip: float, **settings: Any) -> audit.AuditResult:
    """An audit without what is not measured: earlier times, runs of the generalization gap, trained networks."""
    return audit.run(jax.random.key(seed), x, y, flip=flip, sweep=0, runs=0, seeds=0, **settings)


def measured(run: Callable[[], audit.AuditResult], wrong: Wrong | None = None) -> Row:
    """Seconds, memory, and how well the margins find the wrong labels: the flips, or those that are known."""

    def suspicion() -> tuple[Suspicion, Wrong]:
        result = run()
        return -result.scores.margins, result.examples.flipped if wrong is None else wrong

    return measured_suspicion(suspicion)


def measured_suspicion(run: Callable[[], tuple[Suspicion, Wrong]]) -> Row:
    """The same of any suspicion, larger for labels that are more suspect, with the labels that are wrong."""
    reset_peak_memory()
    processor, wall = time.process_time(), time.perf_counter()
    suspicion, wrong = run()
    seconds = {"CPU seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    found = {"AUROC": float(area_under_roc(suspicion, wrong)), "AP": float(average_precision(suspicion, wrong))}
    return found | seconds | {"GiB": peak_memory()}
