"""Measures of information, in nats: of discrete and Gaussian variables, from samples; their chance; synergy."""

from infotheory_dl.information import chance, copula, discrete, gaussian, low_rank, neighbours, synergy

__all__ = ["chance", "copula", "discrete", "gaussian", "low_rank", "neighbours", "synergy"]
