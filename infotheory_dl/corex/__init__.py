"""Latent factors that explain the dependence of many variables: structure and covariance from few samples."""

from infotheory_dl.corex import linear, preprocessing, temporal

__all__ = ["linear", "preprocessing", "temporal"]
