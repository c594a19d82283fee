"""Settings of the experiment on domain generalization, and its presets."""

import dataclasses
from pathlib import Path
from typing import Literal

from infotheory_dl.domain_generalization import AlgorithmName

Part = Literal["failures", "heads", "colored", "penalties", "hospitals", "domainbed"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("failures", "heads", "colored", "penalties", "hospitals", "domainbed")
    num_examples: tuple[int, ...] = (50, 100, 200, 500, 1000)
    """Of each Gaussian domain."""
    draws: int = 20
    num_classes: int = 3
    num_features: int = 20
    separation: float = 4.0
    """Of two classes, in standard deviations."""
    num_labels: tuple[int, ...] = (6, 15, 30, 60, 150, 300)
    """Of the unseen domain, that heads are fitted to."""

    digits: Literal["mnist", "digits"] = "mnist"
    """That are coloured: MNIST, or scikit-learn's, which are bundled."""
    sizes: tuple[int, int, int] = (20_000, 20_000, 10_000)
    """Of the domains +80%, +60% and -80%; a fifth of the first two validates."""
    algorithms: tuple[AlgorithmName, ...] = ("erm", "irm", "vrex", "group_dro", "coral")
    seeds: int = 3
    width: int = 256
    steps: int = 500
    batch: int = 1024
    """Of each domain."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    anneal: int = 190
    penalty: float = 1e4
    """Of IRM and VREx, after `anneal` steps."""
    every: int = 50
    """Steps between two diagnoses along a training."""
    tracked: int = 10_000
    """Examples that they see."""
    penalties: tuple[float, ...] = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5)
    """The weights of IRM and VREx, one model for each."""

    patches: int = 2000
    """Of each hospital."""
    patches_batch: int = 256
    """Of each hospital, in a step."""
    shifts: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    """Of the hospitals."""

    searched: tuple[AlgorithmName, ...] = ("erm", "irm", "vrex", "group_dro", "coral", "mmd", "dann", "cdann")
    """Of DomainBed's Colored MNIST."""
    draws_of_search: int = 20
    trials_of_search: int = 3
    steps_of_search: int = 5000
    every_of_search: int = 100

    seed: int = 0
    output: Path = Path("results/domain_generalization/paper")


PRESETS = {
    "smoke": Settings(
        parts=("failures", "heads", "colored", "penalties", "domainbed"),
        num_examples=(100,),
        draws=1,
        num_labels=(6, 60),
        digits="digits",
        sizes=(400, 400, 200),
        algorithms=("erm",),
        seeds=1,
        width=8,
        steps=4,
        batch=16,
        anneal=2,
        every=2,
        tracked=1000,
        penalties=(10.0,),
        patches=64,
        patches_batch=16,
        shifts=(1.0,),
        searched=("erm",),
        draws_of_search=1,
        trials_of_search=1,
        steps_of_search=2,
        every_of_search=1,
        output=Path("results/domain_generalization/smoke"),
    ),
    "laptop": Settings(
        parts=("failures", "heads", "colored", "penalties", "hospitals"),
        num_examples=(100, 500),
        draws=10,
        output=Path("results/domain_generalization/laptop"),
    ),
    "paper": Settings(),
}
