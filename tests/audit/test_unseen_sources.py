"""Each source left out: by brute force, with explicit features and with the kernel."""

import jax
import numpy as np
import pytest

from infotheory_dl import data
from infotheory_dl.audit import Settings, UnseenSources
from infotheory_dl.audit.examples import draw_examples
from infotheory_dl.audit.report import checks as section
from infotheory_dl.audit.results import Representation, Solution
from infotheory_dl.audit.stages import Work
from infotheory_dl.audit.unseen_sources import leave_sources_out
from infotheory_dl.linearization import FeatureStream, feature_moments, kernel_eigen

SIZE, WEIGHT_DECAY, KEY = 90, 0.05, jax.random.key(0)
NAMES = ("north", "south", "west")


@pytest.fixture(scope="module")
def work() -> Work:
    """Where the source is south, what tells the classes apart tells the opposite."""
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 30)
    y = random.integers(0, 3, SIZE)
    x = random.normal(size=(SIZE, 3)) + np.where(codes == 1, -3, 3)[:, None] * np.eye(3)[y]
    table = data.as_table({**{f"x{i}": column for i, column in enumerate(x.T)}, "source": np.array(NAMES)[codes]}, y)
    examples = draw_examples(KEY, table, train_size=None, flip=0.0)
    nothing = np.zeros(SIZE)
    residuals, coordinates = np.zeros((SIZE, 3)), np.zeros((SIZE, 0), np.float32)
    solution = Solution(residuals, nothing, nothing, nothing, coordinates, WEIGHT_DECAY, 1.0, 0.0)
    stream = lambda name, held_out, columns: FeatureStream(x, batch_size=40)
    return Work(KEY, Settings(), table, examples, 1e9, stream, {"solution": solution})


@pytest.mark.parametrize("name", ["features", "tangent kernel"])
def test_a_source_left_out_is_a_fit_to_the_others(name, work):
    x = work.stream(name, False).take(np.arange(SIZE))
    targets = np.eye(3)[work.examples.labels] - 1 / 3
    if name == "features":
        rows = np.concatenate([x, np.ones((SIZE, 1))], axis=1)
        penalty = SIZE * WEIGHT_DECAY * np.diag([1, 1, 1, 0])
        work.found["representation"] = Representation(name, moments=feature_moments(x))
    else:
        rows, penalty = x, SIZE * WEIGHT_DECAY * np.eye(3)
        kernel = x @ x.T
        work.found["representation"] = Representation(name, kernel=kernel, eigen=kernel_eigen(kernel))
    fit = lambda kept: np.linalg.solve(rows[kept].T @ rows[kept] + penalty, rows[kept].T @ targets[kept])
    found = leave_sources_out(work)
    assert (found.column, found.names, found.sizes.tolist()) == ("source", NAMES, [30, 30, 30])
    whole, order = fit(np.arange(SIZE)), work.examples.indices
    for place in range(3):
        own = order // 30 == place
        change = fit(~own) - whole
        predicted = (rows[own] @ (whole + change)).argmax(1)
        assert found.unseen[place] == (predicted == work.examples.labels[own]).mean()
        np.testing.assert_allclose(found.weight_change[place], np.square(change[:3]).sum(), rtol=1e-8)
        np.testing.assert_allclose(found.output_change[place], np.square(rows[~own] @ change).sum(1).mean(), rtol=1e-8)
    assert found.unseen[1] < 0.2
    assert found.right.tolist() == [1, 1, 1]


def test_data_without_sources_and_earlier_times_have_none(work):
    assert leave_sources_out(Work(KEY, Settings(time=10.0), work.table, work.examples, 1e9, work.make_stream)) is None
    bare = data.as_table(np.asarray(work.examples.inputs), work.examples.labels)
    assert leave_sources_out(Work(KEY, Settings(), bare, work.examples, 1e9, work.make_stream)) is None


def test_the_page_says_what_is_right_without_the_source(result):
    quarters = np.array([0.75, 0.5])
    found = UnseenSources("site", ("a", "b"), np.array([60, 40]), quarters, quarters / 2, quarters**2, quarters)
    page = section.beyond_labels(result._replace(unseen_sources=found))
    assert "Sources left out" in page
    assert "predicted right of each site" in page
    assert "Sources left out" not in section.beyond_labels(result)
