"""The nearest example of a class, by brute force."""

import numpy as np

from infotheory_dl.audit import nearest
from infotheory_dl.audit.nearest import nearest_of_classes

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(60, 3, 2))
LABELS = np.repeat([0, 1, 2, 3], [25, 25, 9, 1])
TRUSTED = RNG.random(60) < 0.7
TRUSTED[LABELS == 2] = False


def brute_force(member, label):
    candidates = [i for i in range(60) if LABELS[i] == label and TRUSTED[i]]
    candidates = candidates or [i for i in range(60) if LABELS[i] == label]
    return min(
        (i for i in candidates if i != member), key=lambda i: np.square(INPUTS[i] - INPUTS[member]).sum(), default=-1
    )


def test_the_nearest_trusted_example_of_a_class_is_found_and_never_the_member_itself(monkeypatch):
    members, classes = np.tile(np.arange(60), 5), np.repeat([0, 1, 2, 3, 4], 60)
    expected = [brute_force(*pair) for pair in zip(members.tolist(), classes.tolist(), strict=True)]
    assert nearest_of_classes(INPUTS, LABELS, TRUSTED, members, classes).tolist() == expected
    assert expected.count(-1) == 61  # a class of one has no other, an empty one none
    monkeypatch.setattr(nearest, "_DISTANCES_AT_ONCE", 100)
    assert nearest_of_classes(INPUTS, LABELS, TRUSTED, members, classes).tolist() == expected
