"""Trainings on several domains, and diagnoses of the models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.domain_generalization.diagnoses import diagnosed
from experiments.domain_generalization.settings import Settings
from experiments.harness import Row
from infotheory_dl import data, domain_generalization, networks, training
from infotheory_dl.data import Features, ImageDomains
from infotheory_dl.domain_generalization import AlgorithmName

_VALIDATION_SHARE = 0.2


class Task(NamedTuple):
    """Images of domains, of which the last is not trained on.

    Attributes:
      images: of all.
      validation: which examples of each domain are kept to validate with.
      tracked: places of the examples that diagnoses along a training see.
    """

    images: ImageDomains
    validation: np.ndarray
    tracked: np.ndarray

    def features(self, representations: np.ndarray, logits: np.ndarray, rows: np.ndarray) -> tuple[Features, ...]:
        """The three parts that a diagnosis asks for, of some examples, whose outputs are given."""
        unseen = self.images.domains[rows] == len(self.images.names) - 1
        validation = self.validation[rows] & ~unseen
        predictions = logits.argmax(-1)
        columns = representations, self.images.y[rows], self.images.domains[rows], predictions
        parts = (~unseen & ~validation, validation, unseen)
        return tuple(Features(*(column[part] for column in columns)) for part in parts)


def make_task(key: jax.Array, images: ImageDomains, tracked: int) -> Task:
    """Draws what validates and what is tracked."""
    key_validation, key_tracked = jax.random.split(key)
    order = np.asarray(jax.random.permutation(key_validation, len(images.y)))
    validation = np.zeros(len(order), bool)
    for domain in range(len(images.names)):
        own = order[images.domains[order] == domain]
        validation[own[: int(_VALIDATION_SHARE * len(own))]] = True
    drawn = np.asarray(jax.random.permutation(key_tracked, len(images.y)))[:tracked]
    return Task(images, validation, np.sort(drawn))


def colored(settings: Settings, *, half_size: bool, sizes: Sequence[int] | None) -> ImageDomains:
    """Colored digits."""
    found = data.load(settings.digits, "train+test" if sizes is None and settings.digits == "mnist" else "train")
    images = found.x if settings.digits == "mnist" else np.round(found.x * (255 / 16))
    key = jax.random.key(settings.seed)
    return data.colored_digits(key, images, found.y, sizes=sizes, half_size=half_size and settings.digits == "mnist")


def hospitals(settings: Settings, shift: float) -> ImageDomains:
    """Patches of three hospitals to train on and of one more."""
    drawn = data.stain_hospitals(jax.random.key(settings.seed), num_examples=settings.patches, shift=shift)
    parts = [drawn.train, drawn.unseen]
    x, y, domains = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "domains"))
    return ImageDomains(x, y, domains, drawn.train.names[:-1], drawn.train.class_names)


def settings_of(settings: Settings, name: AlgorithmName) -> dict[str, float]:
    """What an algorithm is trained with."""
    found = {"learning_rate": settings.learning_rate, "weight_decay": settings.weight_decay}
    if name in ("irm", "vrex"):
        found |= {"penalty_weight": settings.penalty, "anneal_steps": settings.anneal}
    return found


def diagnosed_trainings(
    settings: Settings,
    task: Task,
    name: AlgorithmName,
    points: Mapping[str, Sequence[float]],
    *,
    num_trials: int,
    along: bool,
    checkpoint: Path,
) -> Row:
    """Trains an algorithm, and diagnoses the models after the last step and, if asked, along the training.

    Returns:
      The diagnoses at the end, and along the training by step, of every point and trial.
    """
    images = task.images
    featurizer = networks.MLP((settings.width, settings.width), settings.width)
    algorithm = domain_generalization.make_algorithm(
        name,
        featurizer,
        images.x.shape[1:],
        num_classes=len(images.class_names),
        num_domains=len(images.names) - 1,
    )
    sweep = domain_generalization.train_sweep(
        jax.random.key(settings.seed),
        algorithm,
        images.x,
        images.y,
        images.domains,
        settings=points,
        held_out=[len(images.names) - 1],
        num_trials=num_trials,
        validation=np.repeat(task.validation[:, None], num_trials, axis=1),
        num_steps=settings.steps,
        batch_size=settings.batch,
        evaluate_every=settings.every,
        tracked=images.x[task.tracked] if along else None,
        checkpoint=training.Checkpoint(checkpoint, {"network": str(featurizer), "algorithm": name}),
    )
    outputs = domain_generalization.sweep_outputs(algorithm, sweep.last, images.x)
    key, everything = jax.random.key(settings.seed), np.arange(len(images.y))
    models = list(np.ndindex(len(next(iter(points.values()))), num_trials))
    found: Row = {"diverged": sweep.diverged[:, 0], "end": [], "along": [], "steps": sweep.steps}
    for point, trial in models:
        representations, logits = (np.asarray(each[point, 0, trial]) for each in outputs)
        found["end"].append(diagnosed(key, *task.features(representations, logits, everything)))
        if sweep.tracked is not None:
            tracked = (each[point, 0, trial] for each in sweep.tracked)
            found["along"].append(
                [
                    diagnosed(key, *task.features(representations, logits, task.tracked), resamples=20)
                    for representations, logits in zip(*tracked, strict=True)
                ]
            )
    return found


def searched(settings: Settings, images: ImageDomains, name: AlgorithmName, checkpoint: Path) -> Row:
    """DomainBed's random search of an algorithm, each domain held out in turn, and what two rules choose.

    Returns:
      For each domain the means and standard errors over trials of the accuracies of the chosen models.
    """
    algorithm = domain_generalization.make_algorithm(
        name,
        networks.domain_cnn(),
        images.x.shape[1:],
        num_classes=len(images.class_names),
        num_domains=len(images.names) - 1,
    )
    theirs = domain_generalization.DOMAINBED[name].algorithm
    drawn = [domain_generalization.default_hyperparameters(theirs)] + [
        domain_generalization.draw_hyperparameters(theirs, seed) for seed in range(1, settings.draws_of_search)
    ]
    points = [domain_generalization.settings_of_domainbed(name, hyperparameters) for hyperparameters in drawn]
    sweep = domain_generalization.train_sweep(
        jax.random.key(settings.seed),
        algorithm,
        images.x,
        images.y,
        images.domains,
        settings={setting: [point[setting] for point in points] for setting in points[0]},
        num_trials=settings.trials_of_search,
        num_steps=settings.steps_of_search,
        evaluate_every=settings.every_of_search,
        checkpoint=training.Checkpoint(checkpoint, {"network": "domain_cnn", "algorithm": name}),
    )
    found: Row = {}
    for rule in ("iid", "oracle"):
        choose = getattr(domain_generalization.selection, rule)
        for domain, held_out in enumerate(images.names):
            chosen = [
                choose(
                    sweep.accuracy[:, domain, trial], sweep.validation_accuracy[:, domain, trial], test_domain=domain
                ).accuracy
                for trial in range(settings.trials_of_search)
            ]
            error = np.std(chosen) / np.sqrt(len(chosen))
            found |= {f"{rule} {held_out}": float(np.mean(chosen)), f"{rule} {held_out} error": float(error)}
    return found
