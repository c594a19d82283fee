"""Fits written to files and read again."""

import jax
import numpy as np
import pytest

from infotheory_dl.corex import linear, temporal
from tests.corex.series import SERIES, SHORT

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(9, 5))


@pytest.mark.parametrize("settings", [{}, {"preprocessing": "empirical"}, {"on_constant": "drop"}])
def test_a_fit_of_linear_corex_comes_back_from_its_file(tmp_path, settings):
    x = np.insert(X, 3, 1.0, axis=1) if "on_constant" in settings else X
    model = linear.fit(KEY, x, 2, max_iterations=20, **settings)
    read = linear.load(linear.save(tmp_path / "fit.npz", model))
    assert jax.tree.structure(read) == jax.tree.structure(model)
    jax.tree.map(np.testing.assert_array_equal, read, model)
    np.testing.assert_array_equal(linear.transform(read, x), linear.transform(model, x))


def test_a_fit_of_t_corex_comes_back_from_its_file(tmp_path):
    model = temporal.fit(KEY, SERIES, 3, **SHORT)
    read = temporal.load(temporal.save(tmp_path / "fit.npz", model))
    assert jax.tree.structure(read) == jax.tree.structure(model)
    jax.tree.map(np.testing.assert_array_equal, read, model)
    with np.load(tmp_path / "fit.npz") as arrays:
        np.testing.assert_array_equal(arrays["moments.loadings"], model.moments.loadings)


def test_files_that_hold_no_such_fit_are_refused_in_words(tmp_path):
    file = linear.save(tmp_path / "fit.npz", linear.fit(KEY, X, 2, max_iterations=20))
    with pytest.raises(ValueError, match=r"fit.npz is of the type LinearCorex, expected is TemporalCorex"):
        temporal.load(file)
    file.write_text("weights")
    with pytest.raises(ValueError, match=r"fit.npz is not an .npz file; make one by infotheory_dl.results.save"):
        linear.load(file)
