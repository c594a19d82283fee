"""Representations with little synergy: factors that each tell something, and keep it when others are hidden."""

from infotheory_dl.minsyn import autoencoder, categorical, evaluation, linear
from infotheory_dl.minsyn.report import SynergyMeasure, SynergyReport, draw_synergy, synergy_report
from infotheory_dl.minsyn.rotation import Rotation, rotate

__all__ = [
    "Rotation",
    "SynergyMeasure",
    "SynergyReport",
    "autoencoder",
    "categorical",
    "draw_synergy",
    "evaluation",
    "linear",
    "rotate",
    "synergy_report",
]
