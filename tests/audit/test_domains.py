"""The section of an audit on the domains of the data."""

import jax
import numpy as np
import pandas as pd
import pytest

from infotheory_dl import data
from infotheory_dl.audit.domains import diagnose_domains
from infotheory_dl.audit.report import render
from tests.report.reader import Page

KEY = jax.random.key(0)


def table(domains, **settings):
    drawn = data.gaussian_domains(
        KEY, failure="misalignment", num_sources=2, num_classes=2, num_examples=200, num_features=5, separation=6.0
    )
    x, labels, numbers = (np.concatenate([np.asarray(part[column]) for part in drawn]) for column in range(3))
    frame = pd.DataFrame(x, columns=[f"f{place}" for place in range(5)]).assign(kind=labels, Domain=domains[numbers])
    return data.as_table(frame, label="kind", **settings)


@pytest.mark.parametrize("domains", [np.array(["north", "south", "west"]), np.array([1, 2, 3])])
def test_each_domain_is_diagnosed_by_the_other_features(domains):
    found = diagnose_domains(KEY, table(domains))
    assert len(found) == 3
    assert [one.name for one in found][-1] in ("west", "3")
    assert found[-1].diagnosis.dominant == "misalignment"


def test_data_without_domains_have_no_diagnosis():
    assert diagnose_domains(KEY, table(np.array(["north", "south", "west"]), drop=["Domain"])) is None
    assert diagnose_domains(KEY, table(np.array(["north", "south", "south"]))) is None
    digits = data.load("digits", "train[:20]")
    assert diagnose_domains(KEY, data.as_table(digits.x, digits.y)) is None


def test_the_page_has_a_section_of_the_domains(result):
    found = diagnose_domains(KEY, table(np.array(["north", "south", "west"])))
    page = Page(render(result._replace(domains=found), title="mine", facts={}))
    assert page.open == []
    assert "Each domain unseen" in page.text
    assert "examples of west. The largest of the four terms of its error is misalignment" in page.text
    assert "Each domain unseen" not in Page(render(result, title="mine", facts={})).text
