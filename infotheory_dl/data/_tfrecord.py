"""Reads the records of a tfrecord file, without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path

# a record is its length (8 bytes, little endian), a checksum of the length (4), the payload, and its checksum (4)
_HEADER, _FOOTER = 12, 4


def read_records(path: Path, skip: int, take: int) -> Iterator[bytes]:
    """Yields the payloads of `take` records after the first `skip`; a ValueError tells where a file is cut short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        for record in range(skip + take):
            header = file.read(_HEADER)
            length = int.from_bytes(header[:8], "little")
            end = start + _HEADER + length + _FOOTER
            if len(header) < _HEADER or end > size:
                raise ValueError(f"{path} is cut short: it ends in record {record} of {skip + take}; prepare it again")
            if record >= skip:
                yield file.read(length)
            file.seek(end)
            start = end
