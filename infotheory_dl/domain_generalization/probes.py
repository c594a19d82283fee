"""Linear probes, all of them fitted in one program."""

import functools
from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl._validation import (
    edge,
    require_finite,
    require_indices,
    require_not_empty,
    require_positive,
    require_rank,
    require_same_shape,
    require_shape,
    warn,
)
from infotheory_dl.linear_models import LogisticRegression
from infotheory_dl.linear_models.logistic import fit_core
from infotheory_dl.types import AnyArray, Scalar

ProbeName = Literal["converged", "sgd_early_stop"]

_MAX_ITERATIONS = 100
# probes whose sizes differ by less, or by fewer entries, share a program
_ALIKE = 1.3
_PADDING = 1 << 17
# other draws of what is held out find their program compiled
_BLOCK = 64


@edge
def fit_probes(
    representations: Real[AnyArray, "examples features"],
    targets: Int[AnyArray, "probes examples"],
    fitted_to: Bool[AnyArray, "probes examples"],
    *,
    inverse_penalty: float = 1.0,
) -> LogisticRegression:
    """Fits linear probes, each with targets of its own to examples of its own, in one program.

    Each minimises the sum of the cross-entropies of its examples and ‖W‖² / (2 C), as scikit-learn's
    `LogisticRegression` does. A probe that is fitted to two classes has one vector of coefficients there; beside probes
    of more it has two here, that add up to zero, and their difference is that vector.

    Args:
      representations: the inputs, of all probes.
      targets: what each probe is to tell, from 0.
      fitted_to: the examples of each probe.
      inverse_penalty: C.

    Returns:
      The probes: those of `linear_models.fit`, with as many outputs as the largest target needs, or one for targets 0
      and 1. A target that a probe is not fitted to has the intercept minus infinity.

    Raises:
      ValueError: if shapes do not fit, a representation is NaN or infinite, or a probe has no examples.

    Warns:
      UserWarning: if a probe has not converged.
    """
    require_rank("representations", representations, 2, "(examples, features)")
    require_not_empty(representations=representations, targets=targets)
    require_finite(representations=representations)
    require_rank("targets", targets, 2, "(probes, examples)")
    require_shape("targets", targets, (len(targets), len(representations)), "a row for each probe")
    require_same_shape(targets=targets, fitted_to=fitted_to)
    require_positive(inverse_penalty=inverse_penalty)
    targets, fitted_to = np.asarray(targets), np.asarray(fitted_to)
    require_indices(int(targets.max()) + 1, targets=targets)
    if not fitted_to.any(1).all():
        lacking = int(np.argmin(fitted_to.any(1)))
        raise ValueError(f"fitted_to must have examples for every probe, got none for the probe {lacking}")
    representations = jnp.asarray(representations)
    if not jnp.issubdtype(representations.dtype, jnp.floating):
        representations = representations.astype(float)
    return converged_probes(representations, targets, fitted_to, inverse_penalty)


def converged_probes(
    x: Float[AnyArray, "examples features"],
    targets: Int[np.ndarray, "probes examples"],
    fitted_to: Bool[np.ndarray, "probes examples"],
    inverse_penalty: float = 1.0,
) -> LogisticRegression:
    """The core of `fit_probes`.

    Probes of about as many examples, and of as many classes, are one program, which sees these examples alone.
    """
    x = jnp.asarray(x)
    sizes = fitted_to.sum(1)
    # numbered among those that occur, as a regression of two classes has one output
    classes = [np.unique(row[own]) for row, own in zip(targets, fitted_to, strict=True)]
    num_classes = np.array([len(occurring) for occurring in classes])
    num_outputs = max(int(occurring.max()) for occurring in classes) + 1
    num_outputs = num_outputs if num_outputs > 2 else 1
    coefficients = np.zeros((len(targets), x.shape[1], num_outputs), x.dtype)
    intercept = np.full((len(targets), num_outputs), 0 if num_outputs == 1 else -np.inf, x.dtype)
    others = [np.zeros(len(targets), kind) for kind in (bool, int, x.dtype)]
    for group in _groups(sizes, num_classes, _PADDING // x.shape[1]):
        length = -(-int(sizes[group].max()) // _BLOCK) * _BLOCK
        rows = np.stack([_rows_of(fitted_to[probe], length) for probe in group])
        codes = np.stack(
            [np.searchsorted(classes[probe], targets[probe, own]) for probe, own in zip(group, rows, strict=True)]
        )
        fitted = _fit_group(x, rows, codes, sizes[group], inverse_penalty, int(num_classes[group[0]]))
        for column, found in zip(others, fitted[2:], strict=True):
            column[group] = found
        weights, bias = (np.asarray(part) for part in fitted[:2])
        if weights.shape[-1] == 1 < num_outputs:
            # a logit of the second class, as two that add up to zero
            weights, bias = (np.concatenate([-part / 2, part / 2], axis=-1) for part in (weights, bias))
        for place, probe in enumerate(group):
            outputs = np.arange(1) if num_outputs == 1 else classes[probe]
            coefficients[probe][:, outputs], intercept[probe][outputs] = weights[place], bias[place]
    model = LogisticRegression(*map(jnp.asarray, (coefficients, intercept, *others)))
    if not bool(model.converged.all()):
        failed = int((~model.converged).sum())
        warn(f"{failed} of {len(targets)} linear probes did not converge in {_MAX_ITERATIONS} steps")
    return model


def _groups(
    sizes: Int[np.ndarray, " probes"], num_classes: Int[np.ndarray, " probes"], padding: int
) -> Iterator[list[int]]:
    """Probes of as many classes whose sizes are alike, or so small that it does not matter."""
    group: list[int] = []
    for probe in np.lexsort((sizes, num_classes)).tolist():
        smallest = sizes[group[0]] if group else sizes[probe]
        if group and (
            num_classes[probe] != num_classes[group[0]] or sizes[probe] > max(_ALIKE * smallest, smallest + padding)
        ):
            yield group
            group = []
        group.append(probe)
    yield group


def _rows_of(own: Bool[np.ndarray, " examples"], length: int) -> Int[np.ndarray, " length"]:
    """The rows of a probe, and as many of the first of them again as are lacking."""
    rows = np.flatnonzero(own)
    return np.append(rows, np.full(length - len(rows), rows[0]))


@functools.partial(jax.jit, static_argnames="num_classes")
def _fit_group(
    x: Array, rows: AnyArray, codes: AnyArray, sizes: AnyArray, inverse_penalty: Scalar, num_classes: int
) -> LogisticRegression:
    classes = jnp.arange(num_classes) if num_classes > 2 else jnp.ones(1, int)

    def fit_one(given: tuple[Array, Array, Array]) -> LogisticRegression:
        own, targets, size = given
        return fit_core(
            x[own],
            (targets[:, None] == classes).astype(x.dtype),
            (1 / (inverse_penalty * size)).astype(x.dtype),
            jnp.zeros((), x.dtype),
            (jnp.arange(len(own)) < size).astype(x.dtype),
            tolerance=jnp.finfo(x.dtype).eps ** (2 / 3),
            max_iterations=_MAX_ITERATIONS,
            sparse=False,
        )

    # on a processor a probe after the other waits for none, and copies nothing
    side_by_side = None if jax.default_backend() == "cpu" else len(rows)
    return lax.map(fit_one, (jnp.asarray(rows), jnp.asarray(codes), jnp.asarray(sizes)), batch_size=side_by_side)
