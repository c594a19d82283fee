"""The audit of more examples than the exact kernel is made of."""

import jax
import numpy as np
import pytest

from infotheory_dl import audit, results
from infotheory_dl.audit import _run, representation
from infotheory_dl.audit.stages import Stage

SETTINGS = {"flip": 0.1, "sweep": 2, "runs": 20, "seeds": 0}
KEY = jax.random.key(0)


@pytest.fixture(scope="module", autouse=True)
def few_are_many():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(representation, "EXACT_AT_MOST", 40)
        patch.setattr(representation, "_NUM_FEATURES", 64)
        yield


@pytest.fixture(scope="module")
def rows(digits) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits
    return x.reshape(len(x), -1), y


@pytest.fixture(scope="module")
def many(rows) -> audit.AuditResult:
    return audit.run(KEY, *rows, **SETTINGS)


def test_margins_are_those_of_a_fit_without_the_example(many):
    assert many.representation == "linear"
    labels, n = many.examples.labels, len(many.examples.labels)
    assert n == 160
    rows = np.concatenate([many.examples.inputs, np.ones((n, 1))], axis=1)
    penalty = np.diag([n * many.weight_decay] * 64 + [1e-12])
    fit = lambda members: np.linalg.solve(
        rows[members].T @ rows[members] + penalty, rows[members].T @ np.eye(10)[labels[members]]
    )
    whole = fit(np.arange(n))
    for i in (0, 17, 159):
        others = np.delete(np.arange(n), i)
        weights = fit(others)
        np.testing.assert_allclose(many.scores.predictions[i], rows[i] @ weights, atol=1e-4)
        assert many.scores.weight_change[i] == pytest.approx(np.square(weights - whole)[:-1].sum(), rel=1e-3)
        change = np.square(rows[others] @ (weights - whole)).sum(1).mean()
        assert many.scores.output_change[i] == pytest.approx(change, rel=1e-3)


def test_flips_are_found_and_every_example_is_in_every_result(many):
    found = many.detection[0]
    assert found.area_under_roc > 0.9
    assert len(many.scores.margins) == len(many.solution.leverage) == 160
    assert np.isfinite(many.generalization.own_information).all()
    assert many.solution.coordinates.shape == (160, 64)
    assert many.sweep.agreement[-1].min() > 0.95


def test_embeddings_have_one_scale_and_a_random_layer_where_a_linear_kernel_tells_nothing():
    x = np.random.default_rng(0).normal(size=(60, 2)) * [1, 2]
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    found = audit.run(KEY, x, y, embeddings=True, **{**SETTINGS, "sweep": 0, "runs": 0})
    assert found.representation == "random layer"
    np.testing.assert_allclose(found.examples.inputs.std(), 1, rtol=1e-6)
    assert found.examples.inputs[:, 1].std() > 1.5 * found.examples.inputs[:, 0].std()


def test_an_audit_that_is_cut_short_goes_on_with_the_same_bytes(rows, many, tmp_path, monkeypatch):
    stages = _run.STAGES
    wanted = ("representation", "solution", "scores", "label_errors", "checks", "unseen_sources")
    wanted += ("sweep", "generalization", "detection")
    done = []

    def dying(name):
        def with_end(stage):
            def run(work):
                if stage.name == name:
                    raise KeyboardInterrupt
                done.append(stage.name)
                return stage.run(work)

            return stage._replace(run=run)

        return tuple(map(with_end, stages))

    for name in (*wanted[1:], None):
        monkeypatch.setattr(_run, "STAGES", dying(name))
        if name is None:
            again = audit.run(KEY, *rows, keep=tmp_path, **SETTINGS)
            break
        with pytest.raises(KeyboardInterrupt):
            audit.run(KEY, *rows, keep=tmp_path, **SETTINGS)
    assert sorted(done) == sorted((*wanted, "domains"))
    for path, name in ((tmp_path / "whole.npz", many), (tmp_path / "again.npz", again)):
        results.save(path, name)
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()

    monkeypatch.setattr(_run, "STAGES", dying("domains"))
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        audit.run(KEY, *rows, keep=tmp_path, restart=True, **SETTINGS)
    assert done == list(wanted)


def test_a_stage_that_is_damaged_or_cannot_be_kept_is_made(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(_run, "STAGES", (Stage("domains", lambda work: "nothing", lambda work: None), *_run.STAGES))
    quick = {**SETTINGS, "sweep": 0, "runs": 0}
    first = audit.run(KEY, *rows, keep=tmp_path, **quick)
    for kept in tmp_path.glob("*/*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    (tmp_path / "file").write_text("")
    second = audit.run(KEY, *rows, keep=tmp_path, **quick)
    third = audit.run(KEY, *rows, keep=tmp_path / "file", **quick)
    for other in (second, third):
        np.testing.assert_array_equal(first.scores.margins, other.scores.margins)


def test_what_an_audit_takes_is_told_first(rows):
    told = []
    stages = lambda stage: told.append(stage)
    audit.run(KEY, *rows, on_plan=told.append, on_stage=stages, **{**SETTINGS, "sweep": 0, "runs": 0})
    assert told[0].startswith("This takes less than a minute and ")
    assert told[0].endswith(" GiB.")


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_is_impossible_with_many_examples_is_told(rows):
    with pytest.raises(ValueError, match=r"needs some .* GiB, it may take 0\.1 GiB; allow more by memory"):
        audit.run(KEY, *rows, memory=0.1, **SETTINGS)
    with pytest.raises(ValueError, match="time=100 needs the exact kernel"):
        audit.run(KEY, *rows, time=100.0, **SETTINGS)
