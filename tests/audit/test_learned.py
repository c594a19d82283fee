"""Features that are learned on one half of many photographs, for the other half."""

import dataclasses

import jax
import numpy as np
import pytest

from infotheory_dl import audit
from infotheory_dl.audit import learned, representation
from infotheory_dl.audit.learned import columns_of, halves, learn, num_epochs

KEY = jax.random.key(0)
N = 80


@pytest.fixture(scope="module", autouse=True)
def few_are_many():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(representation, "EXACT_AT_MOST", 40)
        patch.setattr(representation, "LEARNED_BEYOND", 40)
        patch.setattr(representation, "_NUM_FEATURES", 528)
        patch.setattr(learned, "_MOST_EPOCHS", 12)
        patch.setattr(learned, "_BATCH_SIZE", 20)
        yield


@pytest.fixture(scope="module")
def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Stripes that lie or stand, of any colour and phase."""
    random = np.random.default_rng(0)
    y = np.arange(N) % 2
    waves = np.sin(np.arange(12) * 1.5 + random.uniform(0, 6, (N, 1)))
    lying = np.broadcast_to(waves[:, :, None], (N, 12, 12))
    stripes = np.where(y[:, None, None] == 1, lying, lying.transpose(0, 2, 1))
    x = stripes[..., None] * random.uniform(0.5, 1, (N, 1, 1, 3)) + 0.1 * random.normal(size=(N, 12, 12, 3))
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def parts(photographs):
    x, y = photographs
    half = halves(KEY, y)
    told = []
    both = tuple(learn(KEY, own, x, y, 2, x[:5], told.append) for own in (half, ~half))
    np.testing.assert_allclose(told[:12], np.arange(1, 13) / 12)
    return both


def test_a_feature_has_not_seen_the_label_of_its_example(photographs, parts):
    x, y = photographs
    half = parts[0].half
    assert half.sum() == N // 2
    assert np.bincount(y[half]).tolist() == [20, 20]
    other_labels = np.where(half, y, 1 - y)
    again = learn(KEY, half, x, other_labels, 2, x[:5], lambda share: None)
    np.testing.assert_array_equal(again.features, parts[0].features)
    other_labels = np.where(half, 1 - y, y)
    assert not np.allclose(learn(KEY, half, x, other_labels, 2, x[:5], lambda share: None).features, parts[0].features)


def test_columns_stand_apart_for_either_half(parts):
    half = parts[0].half
    columns = columns_of(parts, held_out=False)
    assert columns.shape == (N, 512)
    assert not columns[half, :256].any()
    assert not columns[~half, 256:].any()
    for own in (columns[~half, :256], columns[half, 256:]):
        np.testing.assert_allclose(own.mean(0), 0, atol=1e-5)
        deviations = own.std(0)
        np.testing.assert_allclose(deviations[deviations > 0], 1, rtol=1e-4)
    beside = columns_of(parts, held_out=True)
    # the first five are in one of the halves, and held out too: what the network of the other half says is the same
    mine = np.flatnonzero(~half)[:1]
    if mine[0] < 5:
        np.testing.assert_allclose(2 * beside[mine, :256], columns[mine, :256], rtol=1e-4, atol=1e-5)


def test_an_audit_of_photographs_goes_by_learned_features_too(photographs):
    x, y = photographs
    stages = []
    result = audit.run(KEY, x, y, (x[:20], y[:20]), flip=0.1, sweep=0, runs=20, seeds=0, on_stage=stages.append)
    assert stages[:2] == ["features that a small network learns on one half of the images, for the other"] * 2
    assert result.representation == "patches of the images"
    assert result.detection[0].area_under_roc > 0.8
    assert np.isfinite(result.scores.output_change).all()
    assert np.isfinite(result.generalization.own_information).all()
    assert not representation.learns(dataclasses.replace(result.settings, learn=False), result.examples)


def test_few_images_are_seen_more_often(monkeypatch):
    monkeypatch.setattr(learned, "_MOST_EPOCHS", 30)
    assert [num_epochs(n) for n in (100, 20_000, 50_000, 1_000_000)] == [30, 25, 10, 5]
