"""Measures of information, in nats: of discrete variables, of Gaussian ones, and from samples by nearest neighbours."""

from infotheory_dl.information import discrete, gaussian, low_rank, neighbours

__all__ = ["discrete", "gaussian", "low_rank", "neighbours"]
