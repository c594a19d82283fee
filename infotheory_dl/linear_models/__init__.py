"""Linear models: logistic regression, of many problems at once.

The solver of probes, linear baselines, and detectors of wrong labels.
"""

from infotheory_dl.linear_models.cross_validation import cross_validated_probabilities
from infotheory_dl.linear_models.logistic import LogisticRegression, fit, logits, probabilities

__all__ = ["LogisticRegression", "cross_validated_probabilities", "fit", "logits", "probabilities"]
