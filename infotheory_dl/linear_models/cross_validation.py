"""Probabilities for every example by a regression that was not fitted to it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from infotheory_dl._validation import class_labels, edge, require_indices, require_shape
from infotheory_dl.linear_models.logistic import Penalty, fit, probabilities
from infotheory_dl.types import AnyArray, AnyLabels, Scalar


@edge
def cross_validated_probabilities(
    x: Real[AnyArray, "examples features"],
    y: AnyLabels,
    folds: Int[AnyArray, " examples"],
    *,
    num_classes: int | None = None,
    l2: Penalty = 0.0,
    l1: Penalty = 0.0,
    weights: Real[AnyArray, " examples"] | None = None,
    tolerance: Scalar | None = None,
    max_iterations: int = 100,
) -> Float[Array, "*problems examples classes"]:
    """Fits one regression for each fold to all the others, in one program, and predicts the fold that it has not seen.

    Args:
      x: inputs.
      y: labels, in any form that people hold them in.
      folds: the fold of every example, 0, 1, ...: those of `data.stratified_folds`, or of people, places, times.
      num_classes: default as many as occur.
      l2, l1: as in `fit`. Several penalties are compared on the same folds.
      weights: of the examples; default all alike.
      tolerance, max_iterations: as in `fit`, which see for the errors and warnings too.

    Returns:
      The probabilities, with the axes of the penalties in front. A class that is absent from the other folds has
      probability zero.

    Raises:
      ValueError: if there are not as many folds as examples, or one fold only.
    """
    labels = class_labels(y, name="y", num_classes=num_classes, num_examples=len(x), to_learn=num_classes is None)
    require_shape("folds", folds, (len(x),), "one for every example")
    folds = np.asarray(folds)
    num_folds = int(folds.max()) + 1
    require_indices(num_folds, folds=folds)
    if num_folds < 2:
        raise ValueError("folds must be at least 2, got the fold 0 only")
    penalties = jnp.broadcast_shapes(np.shape(l2), np.shape(l1))
    others = folds != np.arange(num_folds)[:, None]
    others = (others if weights is None else others * np.asarray(weights)).astype(jnp.asarray(x).dtype)
    model = fit(
        x,
        labels.codes,
        num_classes=len(labels.names),
        l2=l2,
        l1=l1,
        weights=others.reshape(num_folds, *(1 for _ in penalties), len(folds)),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    by_fold = jnp.moveaxis(probabilities(model, x), -2, 1)
    own = jax.vmap(lambda rows, fold: rows[fold], in_axes=(1, 0))(by_fold, jnp.asarray(folds))
    return jnp.moveaxis(own, 0, -2)
