"""The nearest point of a group, by brute force."""

import numpy as np

from infotheory_dl.information.neighbours import _nearest
from infotheory_dl.information.neighbours._nearest import nearest_of_groups

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 6))
GROUPS = np.repeat([0, 1, 2, 3], [25, 25, 9, 1])
PREFERRED = RNG.random(60) < 0.7
# of the third group one alone, which the others are not to be without
PREFERRED[GROUPS == 2] = np.arange(9) == 4


def brute_force(member, group):
    others = [i for i in range(60) if GROUPS[i] == group and i != member]
    candidates = [i for i in others if PREFERRED[i]] or others
    return min(candidates, key=lambda i: np.square(POINTS[i] - POINTS[member]).sum(), default=-1)


def test_the_nearest_preferred_point_of_a_group_is_found_and_never_the_member_itself(monkeypatch):
    members, groups = np.tile(np.arange(60), 5), np.repeat([0, 1, 2, 3, 4], 60)
    expected = [brute_force(*pair) for pair in zip(members.tolist(), groups.tolist(), strict=True)]
    assert nearest_of_groups(POINTS, GROUPS, PREFERRED, members, groups).tolist() == expected
    assert expected.count(-1) == 61  # a group of one has no other, an empty one none
    monkeypatch.setattr(_nearest, "_DISTANCES_AT_ONCE", 100)
    assert nearest_of_groups(POINTS, GROUPS, PREFERRED, members, groups).tolist() == expected
