"""Where a command finds its data: the options that all commands share."""

from dataclasses import dataclass
from pathlib import Path

from infotheory_dl.data.tables.encoding import Missing
from infotheory_dl.data.tables.reading import read_table
from infotheory_dl.data.tables.table import Table


@dataclass(frozen=True)
class Source:
    """A data set of the user.

    Attributes:
      data: a file: .csv, .tsv or .parquet, with --label where labels are needed; .npz with the arrays x and y, and
        x_test, y_test, feature_names, row_names if there are any; .npy, with --y; or a folder that holds a folder of
        images for each class.
      label: the column with the labels, by its name or its place, from 0.
      x: the array of inputs in an .npz file, by default x; or, without --data, a .npy file.
      y: the array of labels in an .npz file, by default y; or a .npy file.
      row_names: the column with the names of the rows; by default an index, an id, or text that differs in all.
      drop: columns to leave out.
      delimiter: between the columns of a .csv or .tsv file; by default found from its first line.
      image_size: height and width that images in folders are brought to; by default they must have one size.
    """

    data: Path | None = None
    label: str | None = None
    x: str | None = None
    y: str | None = None
    row_names: str | None = None
    drop: tuple[str, ...] = ()
    delimiter: str | None = None
    image_size: int | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the options that were given."""
        return tuple(name for name, value in vars(self).items() if value not in (None, ()))

    @property
    def name(self) -> str:
        """What to call the data set."""
        return Path(self.data or self.x or "").stem

    def read(self, *, labelled: bool, missing: Missing = "fill") -> Table:
        """Reads it by `read_table`."""
        return read_table(
            self.data,
            label=self.label,
            x=self.x,
            y=self.y,
            labelled=labelled,
            row_names=self.row_names,
            drop=self.drop,
            missing=missing,
            delimiter=self.delimiter,
            image_size=self.image_size,
        )
