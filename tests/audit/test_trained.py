"""The scores of a network that is really trained, beside those of the audit."""

import csv

import flax.linen as nn
import jax
import numpy as np
import pytest
from scipy.stats import spearmanr

from infotheory_dl import audit, networks
from infotheory_dl.audit import trained
from infotheory_dl.audit.trained import score_trained
from infotheory_dl.sample_information import StepSizeError
from tests.audit.conftest import SETTINGS

NETWORK, ONE_OUTPUT = (networks.MLP((8,), outputs, activation=nn.gelu) for outputs in (10, 1))


def scored(result: audit.AuditResult) -> trained.Trained | None:
    return score_trained(jax.random.key(0), NETWORK, ONE_OUTPUT, result.examples, result.scores)


@pytest.fixture(scope="module")
def found(result) -> trained.Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "_TRAINED_AT_MOST", 80)
        return scored(result)


def test_scores_are_those_of_really_leaving_examples_out(result, found):
    assert len(np.unique(found.rows)) == 80
    assert found.weight_change.shape == found.output_change.shape == (80,)
    assert len(found.agreement.examples) == 8
    assert found.agreement.output_change > 0.95
    assert found.agreement.weight_change > 0.95
    expected = spearmanr(found.output_change, -result.scores.margins[found.rows]).statistic
    assert found.margin_correlation == pytest.approx(expected)
    assert found.accuracy > 0.5


def test_wrong_labels_inform_the_trained_network_too(result, found):
    flipped = result.examples.flipped[found.rows]
    assert np.median(found.output_change[flipped]) > 2 * np.median(found.output_change[~flipped])


def test_the_page_and_the_table_show_it(result, found, tmp_path):
    text = audit.write_report(result._replace(trained=found), tmp_path).read_text(encoding="utf-8")
    assert "The network that is really trained" in text
    assert "really trained on 80 of the 100 audited examples" in text
    assert "rank correlation with really leaving out 8 of them" in text
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["example"]): row for row in csv.DictReader(file)}
    assert sum(row["trained_output_change"] == "" for row in rows.values()) == 20
    for place, row in enumerate(found.rows):
        given = rows[result.examples.indices[row]]
        assert float(given["trained_output_change"]) == float(found.output_change[place])
        assert float(given["trained_weight_change"]) == float(found.weight_change[place])


def test_the_audit_has_it_where_it_is_asked_for(digits, result, found, monkeypatch):
    assert result.trained is None
    asked = []
    monkeypatch.setattr(audit._run, "score_trained", lambda *given: asked.append(given) or found)
    quick = {**SETTINGS, "num_networks": 1, "sweep": 0, "runs": 0, "seeds": 0, "trained": True}
    assert audit.run(jax.random.key(0), *digits, **quick).trained is found
    assert [network.activation for network in asked[0][1:3]] == [nn.gelu] * 2
    assert [network.outputs for network in asked[0][1:3]] == [10, 1]


@pytest.mark.usefixtures("as_a_user_sees")
def test_derivatives_that_explode_are_told(result, monkeypatch):
    def explode(*given, **settings):
        raise StepSizeError("explode")

    monkeypatch.setattr(trained, "trained_information", explode)
    with pytest.warns(UserWarning, match="explode, at each of three rates: no score"):
        assert scored(result) is None
