"""Sweeps: every model is that of its own settings, fold and trial, and nothing of what is held out reaches it."""

import functools

import jax
import numpy as np
import pytest

from infotheory_dl import domain_generalization as dg
from infotheory_dl import networks
from infotheory_dl.training import Checkpoint

RANDOM = np.random.default_rng(0)
DOMAINS = np.repeat([0, 1, 2], [20, 30, 25])
LABELS = RANDOM.integers(0, 2, 75)
INPUTS = RANDOM.normal(size=(75, 3)) + LABELS[:, None] * [1, 0, -1] + 0.5 * DOMAINS[:, None]
VALIDATION = RANDOM.random((75, 2)) < 0.3
ALGORITHM = dg.make_algorithm("irm", networks.MLP((4,), 4), (3,), num_classes=2, num_domains=2)
POINTS = {"learning_rate": [0.02, 0.1], "penalty_weight": [1.0, 30.0]}


def run(inputs=INPUTS, settings=POINTS, **changes):
    given = {"num_trials": 2, "num_steps": 20, "evaluate_every": 5, "batch_size": 8, "tracked": INPUTS[:3]} | changes
    return dg.train_sweep(
        jax.random.key(0), ALGORITHM, inputs, LABELS, DOMAINS, settings=settings, validation=VALIDATION, **given
    )


@functools.cache
def swept():
    return run()


def of_all(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def test_points_are_trained_as_they_stand():
    swapped = run(settings={name: values[::-1] for name, values in POINTS.items()})
    jax.tree.map(np.testing.assert_array_equal, of_all(swapped.last, np.s_[::-1]), swept().last)
    assert not np.allclose(swept().risk[0], swept().risk[1], rtol=1e-3)
    assert not np.allclose(swept().risk[:, :, 0], swept().risk[:, :, 1], rtol=1e-3)


def test_nothing_of_a_domain_that_is_held_out_reaches_a_model():
    others = np.where((DOMAINS == 2)[:, None], 7 - INPUTS, INPUTS)
    changed = run(others)
    jax.tree.map(np.testing.assert_array_equal, of_all(changed.last, np.s_[:, 2]), of_all(swept().last, np.s_[:, 2]))
    np.testing.assert_array_equal(changed.best_step[:, 2], swept().best_step[:, 2])
    assert not np.allclose(changed.risk[:, 2, ..., 2], swept().risk[:, 2, ..., 2], rtol=1e-3)
    assert not np.allclose(changed.risk[:, 0, ..., 1], swept().risk[:, 0, ..., 1], rtol=1e-3)


def test_nothing_of_what_is_kept_to_validate_with_reaches_a_model():
    others = np.where(VALIDATION.all(1)[:, None], 7 - INPUTS, INPUTS)
    assert VALIDATION.all(1).any()
    jax.tree.map(np.testing.assert_array_equal, run(others).last, swept().last)


def test_accuracies_and_risks_are_those_of_the_models():
    representations, logits = dg.sweep_outputs(ALGORITHM, swept().last, INPUTS)
    right = np.asarray(logits).argmax(-1) == LABELS
    risks = -np.asarray(jax.nn.log_softmax(logits))[..., np.arange(75), LABELS]
    for trial in range(2):
        for domain in range(3):
            for part, kept in (("", ~VALIDATION), ("validation_", VALIDATION)):
                rows = kept[:, trial] & (domain == DOMAINS)
                accuracy, risk = (getattr(swept(), f"{part}{name}") for name in ("accuracy", "risk"))
                expected = right[:, :, trial][..., rows].mean(-1)
                np.testing.assert_allclose(accuracy[:, :, trial, -1, domain], expected)
                expected = risks[:, :, trial][..., rows].mean(-1)
                np.testing.assert_allclose(risk[:, :, trial, -1, domain], expected, rtol=1e-9)
    np.testing.assert_allclose(swept().tracked.representations[:, :, :, -1], representations[..., :3, :], rtol=1e-9)
    np.testing.assert_allclose(swept().tracked.logits[:, :, :, -1], logits[..., :3, :], rtol=1e-9)


def test_the_best_step_is_that_of_the_sources_of_a_fold():
    for fold in range(3):
        sources = np.delete(swept().validation_accuracy[:, fold], fold, axis=-1).mean(-1)
        np.testing.assert_array_equal(swept().best_step[:, fold], swept().steps[sources.argmax(-1)])
    np.testing.assert_array_equal(swept().steps, [5, 10, 15, 20])
    assert swept().metrics["penalty"].shape == (2, 3, 2, 4)


def test_what_diverges_is_told_and_harms_no_other():
    with pytest.warns(UserWarning, match="6 of 12 models diverged: try smaller learning rates"):
        found = run(settings=POINTS | {"learning_rate": [0.02, 1e300]})
    np.testing.assert_array_equal(found.diverged, np.arange(2)[:, None, None] == np.ones((3, 2)))
    jax.tree.map(np.testing.assert_array_equal, of_all(found.last, 0), of_all(swept().last, 0))
    assert np.isfinite(found.validation_accuracy).all()


def test_an_interrupted_sweep_goes_on(tmp_path):
    def interrupt(training):
        if training.epoch == 2:
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=checkpoint, callback=interrupt, callback_every=1)
    epochs = []
    found = run(checkpoint=checkpoint, callback=lambda training: epochs.append(int(training.epoch)), callback_every=1)
    assert epochs == [3, 4]
    jax.tree.map(np.testing.assert_array_equal, found.last, swept().last)
    np.testing.assert_array_equal(found.accuracy, swept().accuracy)


def test_domains_are_split_anew_in_each_trial_in_their_shares():
    split = dg.sweeps._split(jax.random.key(0), DOMAINS, 2, 0.2)
    counts = [np.bincount(DOMAINS[of_trial]) for of_trial in split.T]
    np.testing.assert_array_equal(counts, [[4, 6, 5]] * 2)
    assert (split[:, 0] != split[:, 1]).any()


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_is_told():
    sweep = functools.partial(dg.train_sweep, jax.random.key(0), ALGORITHM)
    given = INPUTS, LABELS, DOMAINS
    infinite = INPUTS.copy()
    infinite[3, 1] = np.inf
    for call, text in (
        (lambda: sweep(infinite, LABELS, DOMAINS), "inputs"),
        (lambda: sweep(INPUTS, LABELS[:3], DOMAINS), "labels"),
        (lambda: sweep(INPUTS, LABELS + 1, DOMAINS), r"labels must lie in \[0, 2\)"),
        (lambda: sweep(INPUTS, LABELS, np.zeros(75, int)), "of 1 domains 0 are left to train on"),
        (lambda: sweep(*given, held_out=[(0, 1)]), "1 are left to train on, but the algorithm is made for 2"),
        (lambda: sweep(*given, held_out=[3]), r"held_out must lie in \[0, 2\], the numbers of the 3 domains, got 3"),
        (lambda: sweep(*given, held_out=[0, (1, 2)]), "held_out must be domains, or as many domains in each fold"),
        (lambda: sweep(*given, settings={"lambda": [1.0]}), "unknown setting 'lambda' of the algorithm"),
        (lambda: sweep(*given, settings={"penalty_weight": [1.0, -1.0]}), "penalty_weight must be finite and not neg"),
        (lambda: sweep(*given, settings=POINTS | {"anneal_steps": [1]}), "as many for every name, got"),
        (lambda: sweep(*given, settings={"penalty_weight": -1.0}), "penalty_weight must be finite and not negative"),
        (lambda: sweep(*given, held_out=["a"]), "held_out must be numbers of domains, which are numbered in ascending"),
        (lambda: sweep(*given, num_steps=5, evaluate_every=2), "num_steps must be a multiple of evaluate_every, 2"),
        (lambda: sweep(*given, batch_size=1), r"batch_size must lie in \[2, inf\]"),
        (lambda: sweep(*given, validation_share=1.0), "validation_share must lie in"),
        (lambda: sweep(*given, validation=np.zeros((75, 1), bool)), "every domain must have examples to train on and"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            call()
