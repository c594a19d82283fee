"""What a diagnosis says, each number with what chance may have made of it."""

from typing import Literal, NamedTuple, get_args

from jaxtyping import Float

from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Term = Literal["underfitting", "inseparability", "misalignment", "non_invariance"]


@concise
class Estimate(NamedTuple):
    """A number, and how far chance in the examples that it was measured on carries it.

    Attributes:
      value: the number.
      standard_error: the standard deviation over resamples of the examples.
      interval: within which 95 of 100 resamples fall.
    """

    value: Float[AnyArray, ""]
    standard_error: Float[AnyArray, ""]
    interval: Float[AnyArray, " 2"]


@concise
class Accuracies(NamedTuple):
    """Shares of examples that are classified right.

    Attributes:
      own_on_sources: G0, of the model on further examples of the source domains.
      probe_on_unseen: G1, on the unseen domain, of a linear probe fitted to it.
      joint_on_unseen: G2, on the unseen domain, of a linear probe fitted to it and the source domains together.
      own_on_unseen: G3, of the model on the unseen domain.
      joint_on_sources: of the probe of G2, on further examples of the source domains.
    """

    own_on_sources: Estimate
    probe_on_unseen: Estimate
    joint_on_unseen: Estimate
    own_on_unseen: Estimate
    joint_on_sources: Estimate


@concise
class Errors(NamedTuple):
    """The error of the model on the unseen domain, 1 - G3, as a sum of four. A term can be negative.

    Attributes:
      underfitting: 1 - G0, already there in the source domains.
      inseparability: G0 - G1, no linear rule tells the classes of the unseen domain apart, even one of its own.
      misalignment: G1 - G2, a linear rule does, but none that holds in the source domains too.
      non_invariance: G2 - G3, there is a linear rule for all, and the head of the model is another.
    """

    underfitting: Estimate
    inseparability: Estimate
    misalignment: Estimate
    non_invariance: Estimate


@concise
class Invariance(NamedTuple):
    """How well a linear probe tells domains apart, in three tests.

    Attributes:
      sources: the source domains, one from another (0).
      unseen: the same number of domains, where the unseen one has taken the place of a source domain; the mean over the
        source domains (1).
      unseen_given_class: the same within each class; the mean over the classes (2).
    """

    sources: Estimate
    unseen: Estimate
    unseen_given_class: Estimate


@concise
class Diagnosis(NamedTuple):
    """Why a model fails in a domain that it has not seen.

    Attributes:
      accuracies: G0 to G3.
      errors: their differences, which add up to the error in the unseen domain.
      lead: by how much the largest of the four exceeds the next.
      domain_accuracies: I0 to I2, the shares of examples whose domain a probe tells right.
      distinguishability: d0 to d2, the same on a scale on which 0 is what the most frequent domain alone would give,
        and 1 is always right.
      information: at least so much do the representations tell of the domain, in nats; for the third test, given the
        class. It is the entropy of the domain less the cross-entropy of the probe, and can be negative.
      skipped_classes: names of the classes that have too few examples for the third test.
      skipped_domains: names of the source domains that have too few examples for any of the three.
      test: the same of a second unseen domain, if there is one.
    """

    accuracies: Accuracies
    errors: Errors
    lead: Estimate
    domain_accuracies: Invariance
    distinguishability: Invariance
    information: Invariance
    skipped_classes: tuple[str, ...] = ()
    skipped_domains: tuple[str, ...] = ()
    test: "Diagnosis | None" = None

    @property
    def largest(self) -> Term:
        """The largest of the four errors, by chance or not."""
        return max(get_args(Term), key=lambda name: float(getattr(self.errors, name).value))

    @property
    def dominant(self) -> Term | None:
        """The largest of the four errors, where the data tell that it is positive and the largest; else None."""
        error = getattr(self.errors, self.largest)
        return self.largest if min(error.interval[0], self.lead.interval[0]) > 0 else None
