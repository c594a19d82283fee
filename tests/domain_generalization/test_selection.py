"""Selection of models, and draws of settings, beside DomainBed's."""

import numpy as np
import pytest

from infotheory_dl.domain_generalization import default_hyperparameters, draw_hyperparameters, selection
from tests.conftest import reference

CASE = reference("domain_generalization_selection")
RULES = {
    "iid": lambda domain: selection.iid(CASE["acc_in"], CASE["acc_out"], test_domain=domain),
    "oracle": lambda domain: selection.oracle(CASE["acc_in"], CASE["acc_out"], test_domain=domain),
    "loo": lambda domain: selection.leave_one_domain_out(
        CASE["acc_in"], CASE["loo_in"][:, :, domain], test_domain=domain
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("domain", range(3))
def test_choices_are_those_of_domainbed(rule, domain):
    found = RULES[rule](domain)
    expected = {name: CASE[f"{rule}/test{domain}/{name}"] for name in ("sweep_acc", "ranked_val", "ranked_test")}
    assert found.accuracy == expected["sweep_acc"]
    np.testing.assert_array_equal(found.validation, expected["ranked_val"])
    np.testing.assert_array_equal(found.test, expected["ranked_test"])
    np.testing.assert_array_equal(CASE["acc_in"][found.ranking, found.steps, domain], found.test)
    assert (found.run, found.step) == (found.ranking[0], found.steps[0])


def test_of_runs_that_are_alike_the_later_is_chosen_and_of_steps_the_earlier():
    held_out = np.full((3, 4, 2), 0.5)
    accuracies = np.arange(24.0).reshape(3, 4, 2)
    found = selection.iid(accuracies, held_out, test_domain=1)
    assert (found.run, found.step, found.accuracy) == (2, 0, accuracies[2, 0, 1])
    assert found.ranking.tolist() == [2, 1, 0]
    assert selection.oracle(accuracies, held_out, test_domain=0).step == 3


def test_the_test_domain_has_no_run_without_itself():
    left_out = np.full((2, 1, 3), 0.5)
    left_out[:, :, 1] = np.nan
    left_out[0, 0, 2] = 0.75
    assert selection.leave_one_domain_out(np.zeros((2, 1, 3)), left_out, test_domain=1).run == 0


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_chosen_from_is_told():
    good = np.zeros((2, 3, 4))
    for given, domain, text in (
        ((good, good), 4, r"test_domain must lie in \[0, 3\], the places of the 4 domains, got 4"),
        ((good, good[:1]), 0, r"held_out must have the shape \(2, 3, 4\)"),
        ((good[0], good[0]), 0, r"accuracies must have 3 axes \(runs, steps, domains\)"),
        ((good[..., :1], good[..., :1]), 0, "num_domains must be at least 2, got 1"),
        ((good, good + np.nan), 0, "held_out has 24 of 24 entries"),
    ):
        with pytest.raises(ValueError, match=text):
            selection.iid(*given, test_domain=domain)


DRAWS = reference("domain_generalization_hparams")


@pytest.mark.parametrize("case", sorted({name.rsplit("/", 1)[0] for name in DRAWS} - {"seeds"}))
def test_settings_are_those_that_domainbed_draws(case):
    algorithm, dataset = case.split("/")
    images = "small" if dataset == "ColoredMNIST" else "large"
    default = default_hyperparameters(algorithm, images=images)
    assert default == dict(zip(DRAWS[f"{case}/names"], DRAWS[f"{case}/default"], strict=True))
    for seed, drawn in zip(DRAWS["seeds"], DRAWS[f"{case}/random"], strict=True):
        found = draw_hyperparameters(algorithm, seed, images=images)
        assert found == dict(zip(DRAWS[f"{case}/names"], drawn, strict=True))


def test_algorithms_share_the_draws_of_the_settings_that_they_share():
    draw = lambda name: draw_hyperparameters(name, 7)
    assert draw("IRM").items() <= draw("IB_IRM").items()
    assert draw("CORAL") == draw("CausIRL_MMD")
    assert draw("CAD")["lmbda"] in (1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100)
    assert 10**2.5 <= draw("EQRM")["eqrm_burnin_iters"] <= 10**3.5


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_drawn_is_told():
    with pytest.raises(ValueError, match="unknown algorithm 'ERM2'; choose one of 'ERM', 'IRM'"):
        draw_hyperparameters("ERM2", 1)
    with pytest.raises(ValueError, match="unknown images 'huge'"):
        default_hyperparameters("ERM", images="huge")
    with pytest.raises(ValueError, match="seed must be at least 1, got 0"):
        draw_hyperparameters("ERM", 0)
