"""Where the data are of several domains: what goes wrong in each of them when it is not trained on."""

from typing import NamedTuple

import jax
import numpy as np

from infotheory_dl import data
from infotheory_dl._validation import warn
from infotheory_dl.audit.columns import DOMAINS, features_alone, groups_by_name
from infotheory_dl.domain_generalization import Diagnosis, diagnose
from infotheory_dl.domain_generalization.files import Given, cases
from infotheory_dl.results import concise
from infotheory_dl.types import Key

_FEWEST_DOMAINS, _MOST_DOMAINS = 3, 20


@concise
class UnseenDomain(NamedTuple):
    """A domain that a model has not seen.

    Attributes:
      name: of the domain.
      diagnosis: of a logistic regression on the examples of all others.
    """

    name: str
    diagnosis: Diagnosis


def diagnose_domains(key: Key, table: data.Table) -> tuple[UnseenDomain, ...] | None:
    """Diagnoses each domain in turn by the features that the table has besides the columns of domains and sources.

    Args:
      key: source of randomness.
      table: of all examples, with labels.

    Returns:
      The diagnoses of the domains that have enough examples; None where no column is called domain, or it has fewer
      than three values or so many that they are no domains.

    Warns:
      UserWarning: if a domain cannot be diagnosed, with the reason.
    """
    found = groups_by_name(table, DOMAINS)
    if found is None or table.y is None:
        return None
    names = found[1]
    if not _FEWEST_DOMAINS <= len(np.unique(names)) <= _MOST_DOMAINS:
        return None
    given = Given(features_alone(table).x, table.y, names, None, None)
    key_split, key_diagnoses = jax.random.split(key)
    diagnoses = []
    for number, case in enumerate(cases(key_split, given)[0]):
        try:
            diagnosis = diagnose(jax.random.fold_in(key_diagnoses, number), *case.features)
        except ValueError as error:
            warn(f"what goes wrong in the domain {case.unseen} is not told: {error}")
            continue
        diagnoses.append(UnseenDomain(case.unseen, diagnosis))
    return tuple(diagnoses) or None
