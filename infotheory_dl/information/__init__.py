"""Measures of information, in nats: of discrete variables, of Gaussian ones, and from samples; and their chance."""

from infotheory_dl.information import chance, copula, discrete, gaussian, low_rank, neighbours

__all__ = ["chance", "copula", "discrete", "gaussian", "low_rank", "neighbours"]
