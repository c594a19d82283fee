"""Checks at the public edge. Values that are being traced are taken on trust: only their shapes are known.

Every `require_*` returns nothing, and takes what it looks at by name: `require_finite(inputs=inputs)`. A value of None
is a setting left open, and passes. Labels are not only checked, but brought into one form: `class_labels`.
"""

from infotheory_dl._validation.arrays import (
    is_concrete,
    require_all,
    require_distinct,
    require_finite,
    require_floating,
    require_indices,
    require_not_empty,
    require_not_half,
    require_rank,
    require_real,
    require_same_length,
    require_same_shape,
    require_shape,
    require_square,
)
from infotheory_dl._validation.distributions import require_distributions
from infotheory_dl._validation.labels import ClassLabels, class_codes, class_labels, is_missing
from infotheory_dl._validation.settings import (
    require_choice,
    require_count,
    require_not_negative,
    require_positive,
    require_within,
)

__all__ = [
    "ClassLabels",
    "class_codes",
    "class_labels",
    "is_concrete",
    "is_missing",
    "require_all",
    "require_choice",
    "require_count",
    "require_distinct",
    "require_distributions",
    "require_finite",
    "require_floating",
    "require_indices",
    "require_not_empty",
    "require_not_half",
    "require_not_negative",
    "require_positive",
    "require_rank",
    "require_real",
    "require_same_length",
    "require_same_shape",
    "require_shape",
    "require_square",
    "require_within",
]
