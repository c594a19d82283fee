"""A plain classifier beside two that ignore wrong labels: how often they are right, and which labels they suspect."""

import math
from typing import NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Bool, Float

from infotheory_dl import label_noise
from infotheory_dl.audit.detection import Detection, rate_detection
from infotheory_dl.audit.examples import Examples
from infotheory_dl.label_noise import MethodName
from infotheory_dl.metrics import spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.types import Key

COMPARED_METHODS: dict[MethodName, str] = {
    "cross_entropy": "plain",
    "limit_laplace": "LIMIT",
    "leave_one_out": "leave-one-out",
}
"""The methods of `label_noise.make_method` that are compared, and what the report calls them."""

_BATCH_SIZE = 50
# enough for LIMIT, which learns slowly under the weight decay of its gradients
_STEPS = 1600
_VALIDATIONS = 50
_SET_ASIDE = 0.2


@concise
class Robustness(NamedTuple):
    """What a plain classifier and two that ignore wrong labels say of the labels, in the order of `COMPARED_METHODS`.

    Attributes:
      accuracy: on the held-out examples, after the epoch of the greatest validation accuracy.
      suspicion: of every label, see `label_noise.RobustFit`.
      candidates: which labels each method takes to be wrong.
      suspected: which labels the audit takes to be wrong: those that are more likely wrong than right.
      agreement: rank correlation of the suspicion with that of the audit, minus the margin.
      overlap: share of the candidates that the audit suspects too; NaN if there are none.
      detection: how well the suspicion finds the flips; None if there are none.
      precision: share of the candidates that were flipped, NaN without candidates; None without flips.
      recall: share of the flips that are candidates; None without flips.
    """

    accuracy: Float[np.ndarray, " methods"]
    suspicion: Float[np.ndarray, "methods examples"]
    candidates: Bool[np.ndarray, "methods examples"]
    suspected: Bool[np.ndarray, " examples"]
    agreement: Float[np.ndarray, " methods"]
    overlap: Float[np.ndarray, " methods"]
    detection: tuple[Detection, ...] | None
    precision: Float[np.ndarray, " methods"] | None
    recall: Float[np.ndarray, " methods"] | None


def compare_robust(
    key: Key,
    network: nn.Module,
    kernel_network: nn.Module,
    examples: Examples,
    margins: Float[np.ndarray, " examples"],
    label_errors: LabelErrors,
) -> Robustness:
    """Trains the network by each method, on the same four fifths of the audited examples, and compares what they find.

    All methods take as many steps, and choose their epoch on the labels as given of the last fifth.

    Args:
      key: source of randomness, the same for every method.
      network: with one output for each class.
      kernel_network: with one output, for the leave-one-out targets.
      examples: of the audit.
      margins: of the audit.
      label_errors: of the audit.

    Returns:
      Accuracies, suspicions and candidates, beside the suspects of the audit.

    Source: Harutyunyan et al., 2020 (LIMIT); Northcutt, Jiang and Chuang, 2021 (the number of candidates).
    """
    num_epochs = max(1, round(_STEPS / math.ceil((1 - _SET_ASIDE) * len(examples.labels) / _BATCH_SIZE)))
    fits = [
        label_noise.fit_robust(
            key,
            examples.inputs,
            examples.labels,
            method=method,
            network=network,
            kernel_network=kernel_network,
            num_classes=len(examples.class_names),
            validation_fraction=_SET_ASIDE,
            num_epochs=num_epochs,
            evaluate_every=math.ceil(num_epochs / _VALIDATIONS),
            batch_size=_BATCH_SIZE,
        )
        for method in COMPARED_METHODS
    ]
    suspicion = np.stack([fit.suspicion for fit in fits])
    candidates = np.stack([np.isin(np.arange(len(examples.labels)), fit.noisy_ids) for fit in fits])
    suspected = label_errors.wrong > 0.5
    flips = examples.flipped
    return Robustness(
        accuracy=np.array([label_noise.score(fit, examples.held_out_inputs, examples.held_out_labels) for fit in fits]),
        suspicion=suspicion,
        candidates=candidates,
        suspected=suspected,
        agreement=np.array([float(spearman_correlation(values, -margins)) for values in suspicion]),
        overlap=coverage(suspected, candidates),
        detection=rate_detection(dict(zip(COMPARED_METHODS, suspicion, strict=True)), flips) if flips.any() else None,
        precision=coverage(flips, candidates) if flips.any() else None,
        recall=coverage(candidates, flips) if flips.any() else None,
    )


def coverage(
    part: Bool[np.ndarray, "... examples"], whole: Bool[np.ndarray, "... examples"]
) -> Float[np.ndarray, "..."]:
    """How much of the whole is in the part; NaN of nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray((part & whole).sum(-1) / whole.sum(-1))
