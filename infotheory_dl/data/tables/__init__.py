"""The one reader of tables: from files of any format, DataFrames and arrays to arrays, with what was done to them."""

from infotheory_dl.data.tables.encoding import ColumnEncoding, TableEncoding
from infotheory_dl.data.tables.reading import read_table
from infotheory_dl.data.tables.source import Source
from infotheory_dl.data.tables.table import Table, as_table

__all__ = ["ColumnEncoding", "Source", "Table", "TableEncoding", "as_table", "read_table"]
