"""Checks at the public edge. Values that are being traced are taken on trust: only their shapes are known.

Every `require_*` returns nothing, and takes what it looks at by name: `require_finite(inputs=inputs)`. A value of None
is a setting left open, and passes. Labels are not only checked, but brought into one form: `class_labels`; and so are
arrays, keys and whole numbers, by the decorator `edge` of a public function. `warn` speaks to whoever called it.
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
from infotheory_dl._validation.containers import is_missing, to_numpy
from infotheory_dl._validation.distributions import require_distributions
from infotheory_dl._validation.edge import edge, real_array
from infotheory_dl._validation.labels import ClassLabels, class_codes, class_labels
from infotheory_dl._validation.settings import (
    require_choice,
    require_count,
    require_not_negative,
    require_positive,
    require_within,
)
from infotheory_dl._validation.warning import warn

__all__ = [
    "ClassLabels",
    "class_codes",
    "class_labels",
    "edge",
    "is_concrete",
    "is_missing",
    "real_array",
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
    "to_numpy",
    "warn",
]
