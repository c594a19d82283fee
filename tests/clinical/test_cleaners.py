"""Numbers of text, by the published rules and without their quirks."""

import numpy as np
import pytest

from infotheory_dl import clinical
from infotheory_dl.clinical import cleaners
from tests.conftest import reference

RULES = ("sbp", "dbp", "crr", "fio2", "lab", "o2sat", "temperature", "weight", "height")


@pytest.mark.parametrize("name", RULES)
def test_numbers_are_those_of_the_published_rules_to_the_last_digit(name):
    case = reference("clinical_cleaners")
    found = cleaners.clean(name, *(case[f"{name}/{column}"] for column in ("value", "uom", "label")))
    np.testing.assert_array_equal(found, case[f"{name}/out"])


def test_without_quirks_fractions_stay_and_recorded_fahrenheit_is_converted():
    fractions = cleaners.clean("fio2", ["0.5", "50", "0.5"], ["", "", "torr"], ["", "", ""], mode="fixed")
    np.testing.assert_allclose(fractions, 0.5)
    texts, units = ["60", "60", "37", "98.6"], ["Deg. F", "Deg. C", "?F", ""]
    degrees = cleaners.clean("temperature", texts, units, [""] * 4, mode="fixed")
    np.testing.assert_allclose(degrees, [(60 - 32) / 1.8, 60, 37, 37])
    labelled = cleaners.clean("temperature", ["60"] * 2, [""] * 2, ["Temp Rectal [F]", "Temp Skin [C]"], mode="fixed")
    np.testing.assert_allclose(labelled, [(60 - 32) / 1.8, 60])


def test_rules_can_be_kept_one_by_one():
    kept = clinical.Rules()._replace(every_fio2_is_percent=False)
    assert cleaners.clean("fio2", ["0.5"], [""], [""], mode=kept) == 0.5
    assert cleaners.clean("fio2", ["0.5"], [""], [""]) == 0.005


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pulse", [], [], []), "unknown name 'pulse'; choose one of 'sbp', 'dbp'"),
        (("lab", ["1"], [], ["x"]), r"values, units and labels must have one length, got 1, 0 and 1"),
    ],
)
def test_what_cannot_be_cleaned_is_told(arguments, words):
    with pytest.raises(ValueError, match=words):
        cleaners.clean(*arguments)


@pytest.mark.usefixtures("as_a_user_sees")
def test_an_unknown_mode_lists_those_there_are():
    with pytest.raises(ValueError, match="unknown mode 'exact'; choose one of 'paper', 'fixed'"):
        cleaners.clean("lab", [], [], [], mode="exact")
