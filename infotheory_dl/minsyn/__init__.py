"""Representations with little synergy: factors that each tell something, and keep it when others are hidden."""

from infotheory_dl.minsyn import linear

__all__ = ["linear"]
