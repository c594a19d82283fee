"""The experiment's rules, the one that leaks among them."""

import numpy as np
import pytest

from experiments.mixhop.runs import choose_steps
from tests.conftest import reference


@pytest.mark.parametrize("rule", ["first", "latest", "original"])
def test_steps_are_chosen_as_in_the_table(rule):
    table = reference("mixhop_tables")
    for case in range(4):
        values = [table[f"stop/{case}/{part}"][None] for part in ("val", "test")]
        best, last = choose_steps(*values, int(table[f"stop/{case}/patience"]), rule)
        np.testing.assert_array_equal(best, table[f"stop/{case}/{rule}_best_step"])
        np.testing.assert_array_equal(last, table[f"stop/{case}/{rule}_last_step"])
