"""Results of every room: printed in a few lines, kept in files and read again, exported as tables."""

from infotheory_dl.results.files import load, save
from infotheory_dl.results.printing import concise
from infotheory_dl.results.tables import columns, to_pandas

__all__ = ["columns", "concise", "load", "save", "to_pandas"]
