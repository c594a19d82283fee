"""Results of every room: kept in files and read again."""

from infotheory_dl.results.files import load, save

__all__ = ["load", "save"]
