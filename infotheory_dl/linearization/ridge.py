"""Ridge regression on explicit features: any number of examples, by one eigendecomposition of the features' moments.

With features phi_i, their mean m and A = sum (phi_i - m)(phi_i - m)ᵀ + n weight_decay, an intercept that is not
penalised, and leverage h_i = 1/n + (phi_i - m)ᵀ A⁻¹ (phi_i - m), the residual of example i by the fit to the others is
its residual by the fit to all over 1 - h_i. Memory is that of A and of a block of examples.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_finite, require_not_negative, require_rank
from infotheory_dl.linearization.eigen import SingularKernelError
from infotheory_dl.linearization.families import Families
from infotheory_dl.linearization.moments import FeatureMoments, feature_moments
from infotheory_dl.linearization.streams import (
    Block,
    FeatureStream,
    Progress,
    add_products,
    as_stream,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_CANDIDATES = np.logspace(-7, 1, 33)
_SELECTED_BY = 4096
# of more a weight decay is chosen by as many mixtures of them: candidates times outputs would be the most work of all
_OUTPUTS_COMPARED = 128
# of the largest eigenvalue: below it single precision knows nothing of the moments
_ROUNDINGS = 4


@concise
class RidgeLeaveOneOut(NamedTuple):
    """What ridge regression says of every example without it.

    Attributes:
      residuals: targets minus the predictions of the fit to the other examples.
      leverage: what an example's own target weighs in its prediction, in (0, 1).
      weight_decay: penalty on the mean loss.
    """

    residuals: Float[np.ndarray, "examples outputs"]
    leverage: Float[np.ndarray, " examples"]
    weight_decay: float


@edge(half=False)
def ridge_leave_one_out(
    features: Float[AnyArray, "examples features"] | FeatureStream,
    targets: Float[AnyArray, "examples outputs"],
    *,
    weight_decay: float | None = None,
    moments: FeatureMoments | None = None,
    progress: Progress | None = None,
) -> RidgeLeaveOneOut:
    """Predicts every example from all the others by ridge regression on explicit features, in closed form.

    The loss is the mean over the examples of ½‖f - y‖² plus (weight_decay / 2)‖w‖²; the intercept is free.

    Args:
      features: of the examples, or a stream of them.
      targets: y.
      weight_decay: penalty on the mean loss; by default the one of least leave-one-out error, of at most 4096 examples,
        among 33 that shift the moments by 1e-7 to 10 times their mean eigenvalue; of more than 128 outputs the error
        is that of 128 random mixtures of them, within a percent or so.
      moments: of `feature_moments`, where they are there already.
      progress: is told which share of the examples is done.

    Returns:
      Residuals, leverages, and the weight decay.

    Raises:
      ValueError: if the shapes do not fit, or an argument holds NaN or infinity.
      SingularKernelError: if without weight decay an example alone determines its prediction.

    Source: Allen, 1974 (PRESS).
    """
    stream = as_stream(features)
    require_rank("targets", targets, 2, "(examples, outputs)")
    require_finite(targets=targets)
    require_not_negative(weight_decay=weight_decay)
    if len(targets) != len(stream):
        raise ValueError(f"features of {len(stream)} examples need as many targets, got {len(targets)}")
    known = feature_moments(stream) if moments is None else moments
    fit = fitted(stream, known, np.asarray(targets), weight_decay)
    found = left_out_rows(stream, known, fit, np.asarray(targets), progress=progress)
    return RidgeLeaveOneOut(found.residuals, found.leverage, fit.weight_decay)


class Fit(NamedTuple):
    """Ridge regression on all examples, in the eigenbasis of the moments.

    Attributes:
      weights: of the features' principal coordinates.
      intercept: the mean of the targets.
      weight_decay: penalty on the mean loss.
    """

    weights: Float[np.ndarray, "directions outputs"]
    intercept: Float[np.ndarray, " outputs"]
    weight_decay: float


class Rows(NamedTuple):
    """What a pass over all examples leaves.

    Attributes:
      residuals: of the fit without the example.
      leverage: of the example.
      sums: of the squared principal coordinates, for each weighting of them.
      coordinates: the leading principal coordinates, the largest first.
      on_references: mean over the references of the squared influence of the example's residual; None without any.
    """

    residuals: Float[np.ndarray, "examples outputs"]
    leverage: Float[np.ndarray, " examples"]
    sums: Float[np.ndarray, "examples weightings"]
    coordinates: Float[np.ndarray, "examples leading"]
    on_references: Float[np.ndarray, " examples"] | None


def fitted(
    stream: FeatureStream,
    moments: FeatureMoments,
    targets: Float[np.ndarray, "examples outputs"],
    weight_decay: float | None,
    families: Families | None = None,
) -> Fit:
    """Fits all targets, with the weight decay of least leave-one-out error if it is None, equal ones left together."""
    intercept = targets.mean(0)
    products = _products(stream, moments, targets - intercept)
    if weight_decay is None:
        weight_decay, _ = _selected(stream, moments, targets, intercept, products, families=families)
    shifted = moments.eigenvalues + moments.num_examples * weight_decay
    if shifted.min() <= 0 or (not weight_decay and len(shifted) < stream.num_features):
        raise SingularKernelError(
            "features that depend on one another need weight_decay > 0: without it their weights are not determined"
        )
    return Fit(products / shifted[:, None], intercept, float(weight_decay))


def left_out_rows(
    stream: FeatureStream,
    moments: FeatureMoments,
    fit: Fit,
    targets: Float[np.ndarray, "examples outputs"],
    *,
    weightings: Float[np.ndarray, "directions weightings"] | None = None,
    references: Float[np.ndarray, "references features"] | None = None,
    leading: int = 0,
    progress: Progress | None = None,
) -> Rows:
    """One pass over all examples.

    Args:
      stream: of the features.
      moments: of them.
      fit: to the targets.
      targets: y.
      weightings: of the squared principal coordinates, to sum them by.
      references: features of further examples on which to measure what the residual of one changes.
      leading: how many principal coordinates to return.
      progress: is told which share of the examples is done.

    Raises:
      SingularKernelError: if the prediction of an example is its own target, to the rounding of the features.
    """
    n, dtype = moments.num_examples, stream.dtype
    inverse = 1 / (moments.eigenvalues + n * fit.weight_decay)
    columns = np.zeros((len(inverse), 0)) if weightings is None else weightings
    solve = _Solve(
        jnp.asarray(moments.mean, dtype),
        jnp.asarray(moments.eigenvectors),
        jnp.asarray(np.concatenate([inverse[:, None], columns], axis=1), dtype),
        jnp.asarray(fit.weights, dtype),
        None if references is None else jnp.asarray(_solved_references(moments, inverse, references), dtype),
    )
    parts: list[tuple[np.ndarray, ...]] = []
    for block in stream.blocks(progress):
        made = _project(solve, block, leading)
        parts.append(tuple(np.asarray(part)[: block.size] for part in made if part is not None))
    sums, outputs, coordinates, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
    leverage = 1 / n + sums[:, 0].astype(float)
    _require_determined(leverage, dtype)
    residuals = (targets - fit.intercept - outputs) / (1 - leverage)[:, None]
    return Rows(residuals, leverage, sums[:, 1:].astype(float), coordinates, others[0] if others else None)


def refitted(
    known: Rows,
    stream: FeatureStream,
    moments: FeatureMoments,
    fit: Fit,
    targets: Float[np.ndarray, "examples outputs"],
) -> Rows:
    """What `left_out_rows` returns for other targets and the same weight decay, O(examples features outputs).

    Args:
      known: what it returned before, of which all but the residuals is of the features alone.
      stream, moments, fit, targets: as there.
    """
    mean = jnp.asarray(moments.mean, stream.dtype)
    weights = jnp.asarray(moments.eigenvectors.astype(float) @ fit.weights, stream.dtype)
    outputs = np.concatenate([np.asarray(_coordinates(one, mean, weights))[: one.size] for one in stream.blocks()])
    return known._replace(residuals=(targets - fit.intercept - outputs) / (1 - known.leverage)[:, None])


def principal_coordinates(
    stream: FeatureStream, moments: FeatureMoments, count: int
) -> Float[np.ndarray, "examples leading"]:
    """The leading principal coordinates of all examples, the largest first, in one pass."""
    mean = jnp.asarray(moments.mean, stream.dtype)
    vectors = jnp.asarray(moments.eigenvectors[:, ::-1][:, :count])
    parts = [np.asarray(_coordinates(block, mean, vectors))[: block.size] for block in stream.blocks()]
    return np.concatenate(parts)


@jax.jit
@jax.default_matmul_precision("highest")
def _coordinates(block: Block, mean: Array, vectors: Array) -> Array:
    return (block.features - mean) @ vectors


class _Solve(NamedTuple):
    mean: Array
    eigenvectors: Array
    weightings: Array
    weights: Array
    references: Array | None


@functools.partial(jax.jit, static_argnames="leading")
@jax.default_matmul_precision("highest")
def _project(solve: _Solve, block: Block, leading: int) -> tuple[Array, Array, Array, Array | None]:
    coordinates = (block.features - solve.mean) @ solve.eigenvectors
    on_references = None
    if solve.references is not None:
        influence = coordinates @ solve.references[:-1] + solve.references[-1]
        on_references = jnp.square(influence).mean(1)
    largest_first = coordinates[:, coordinates.shape[1] - leading :][:, ::-1]
    return jnp.square(coordinates) @ solve.weightings, coordinates @ solve.weights, largest_first, on_references


def _solved_references(
    moments: FeatureMoments, inverse: Float[np.ndarray, " directions"], references: Float[np.ndarray, "m features"]
) -> Float[np.ndarray, "rows m"]:
    """What the residual of an example does to each reference: a column for each, and the intercept's part below."""
    solved = inverse[:, None] * (moments.eigenvectors.astype(float).T @ (references - moments.mean).T)
    return np.concatenate([solved, np.full((1, len(references)), 1 / moments.num_examples)])


def least_error(
    stream: FeatureStream,
    moments: FeatureMoments,
    targets: Float[np.ndarray, "examples outputs"],
    weight_decay: float | None = None,
    families: Families | None = None,
) -> float:
    """The mean squared leave-one-out residual, by which to choose among features; see `_selected`."""
    intercept = targets.mean(0)
    products = _products(stream, moments, targets - intercept)
    return _selected(stream, moments, targets, intercept, products, weight_decay, families)[1]


def _products(
    stream: FeatureStream, moments: FeatureMoments, centred: Float[np.ndarray, "examples outputs"]
) -> Float[np.ndarray, "directions outputs"]:
    """Of the principal coordinates with targets less their mean."""
    mean, total = moments.mean.astype(stream.dtype), None
    for block in stream.blocks():
        with jax.enable_x64(True):
            if total is None:
                total = jnp.zeros((stream.num_features, centred.shape[1]))
            total = add_products(total, block, mean, _rows_of(centred.astype(stream.dtype), block))
    return moments.eigenvectors.astype(float).T @ np.asarray(total)


def _selected(
    stream: FeatureStream,
    moments: FeatureMoments,
    targets: Float[np.ndarray, "examples outputs"],
    intercept: Float[np.ndarray, " outputs"],
    products: Float[np.ndarray, "directions outputs"],
    weight_decay: float | None = None,
    families: Families | None = None,
) -> tuple[float, float]:
    """The weight decay of least leave-one-out error, measured on examples that lie evenly among all; and that error."""
    n = moments.num_examples
    rows = np.unique(np.linspace(0, n - 1, min(n, _SELECTED_BY)).astype(int))
    mean_eigenvalue = moments.eigenvalues.sum() / stream.num_features
    if mean_eigenvalue <= 0:
        raise SingularKernelError("features that are all alike tell no weight decay from another")
    rounding = _ROUNDINGS * float(jnp.finfo(stream.dtype).eps) * moments.eigenvalues.max()
    shifts = _CANDIDATES * mean_eigenvalue
    shifts = shifts[shifts >= min(rounding, shifts[-1])] if weight_decay is None else np.array([n * weight_decay])
    remaining, mixtures = targets[rows] - intercept, _mixtures(targets.shape[1])
    means = None if families is None else families.means(targets)[rows] - intercept
    if mixtures is not None:
        remaining, products = remaining @ mixtures, products @ mixtures
        means = None if means is None else means @ mixtures
    sizes = None if families is None else jnp.asarray(families.sizes[rows], stream.dtype)
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        features = jnp.asarray(stream.take(rows)) - jnp.asarray(moments.mean, stream.dtype)
        coordinates = features @ jnp.asarray(moments.eigenvectors)
        errors = _errors(
            coordinates,
            jnp.asarray(moments.eigenvalues, stream.dtype),
            jnp.asarray(products, stream.dtype),
            jnp.asarray(remaining, stream.dtype),
            jnp.asarray(shifts, stream.dtype),
            n,
            None if sizes is None else (sizes, jnp.asarray(means, stream.dtype)),
        )
    best = int(np.nanargmin(errors))
    return float(shifts[best] / n), float(errors[best]) / targets[rows].size


def _mixtures(outputs: int) -> Float[np.ndarray, "outputs mixtures"] | None:
    """Mixtures of many outputs with random signs, of which the squared residuals have the same sum in expectation."""
    if outputs <= _OUTPUTS_COMPARED:
        return None
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (outputs, _OUTPUTS_COMPARED))
    return signs / np.sqrt(_OUTPUTS_COMPARED)


@jax.jit
def _errors(
    coordinates: Array,
    eigenvalues: Array,
    products: Array,
    targets: Array,
    shifts: Array,
    num_examples: Any,
    families: tuple[Array, Array] | None,
) -> Float[Array, " candidates"]:
    squares = jnp.square(coordinates)

    def error(shift: Array) -> Array:
        inverse = 1 / (eigenvalues + shift)
        fitted = coordinates @ (inverse[:, None] * products)
        if families is None:
            remaining = 1 - 1 / num_examples - squares @ inverse
            residuals = (targets - fitted) / remaining[:, None]
        else:
            sizes, means = families
            share = sizes * (1 / num_examples + squares @ inverse)
            remaining = 1 - share
            residuals = targets - (fitted - share[:, None] * means) / remaining[:, None]
        # a leverage of one to rounding says nothing
        unknown = remaining.min() < jnp.sqrt(jnp.finfo(remaining.dtype).eps)
        return jnp.where(unknown, jnp.inf, jnp.square(residuals).sum())

    return jax.lax.map(error, shifts)


def _rows_of(columns: np.ndarray, block: Block) -> Float[Array, "rows columns"]:
    """The rows of a block, zero where it is filled up."""
    rows = np.zeros((len(block.mask), columns.shape[1]), columns.dtype)
    rows[: block.size] = columns[block.start : block.start + block.size]
    return jax.device_put(rows, block.features.sharding) if len(jax.devices()) > 1 else jnp.asarray(rows)


def _require_determined(leverage: Float[np.ndarray, " examples"], dtype: Any) -> None:
    worst = int(leverage.argmax())
    if not leverage[worst] < 1 - 10 * float(jnp.finfo(dtype).eps):
        raise SingularKernelError(
            f"the prediction of example {worst} is its own target alone (leverage {leverage[worst]:.7g}): give weight"
            " decay, fewer features, or features in double precision"
        )
