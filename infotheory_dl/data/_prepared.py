"""The sets that tensorflow-datasets has prepared on this machine: finding, preparing and decoding them."""

import contextlib
import difflib
import importlib.util
import io
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infotheory_dl.data._tfrecord import read_records

_CHUNK = 4096
_PROBE_SECONDS = 3


class DataNotFoundError(FileNotFoundError):
    """A data set is not on this machine, or only a part of it."""


class Examples(NamedTuple):
    """The decoded examples of a split.

    Attributes:
      x: images (examples, height, width, channels), uint8.
      y: labels (examples,), int32.
      original_index: (examples,) numbers from the set's own identifiers, or None.
    """

    x: np.ndarray
    y: np.ndarray
    original_index: np.ndarray | None


def open_set(name: str, data_dir: str | os.PathLike[str] | None, version: str | None, download: bool) -> Any:
    """The tensorflow-datasets builder of a prepared set, after a check that it is one of labelled images."""
    import tensorflow_datasets as tfds

    # tensorflow-datasets reads the variable once, when it is imported; here it may be set later
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    folder = _newest_version(root / name, version)
    if folder is None:
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        if name.split("/")[0] not in known:
            close = " or ".join(map(repr, difflib.get_close_matches(name, known))) or "see tfds.list_builders()"
            raise ValueError(f"unknown data set {name!r}; did you mean {close}?")
        remedy = _remedy(name, data_dir, version)
        if not download:
            wanted = name if version is None else f"{name} {version}"
            raise DataNotFoundError(f"{wanted} is not prepared in {root / name}{remedy}")
        folder = _prepare(name, root, version, remedy)

    builder = tfds.builder_from_directory(folder)
    _require_labelled_images(name, builder.info.features)
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    for file_format in ("array_record", "tfrecord"):
        if file_format in formats:
            builder.info.set_file_format(file_format, override=True, override_if_initialized=True)
            return builder
    raise ValueError(f"{folder} holds {', '.join(sorted(formats))} files; array_record and tfrecord can be read")


def shards(builder: Any, split: str) -> Sequence[Any]:
    """The files of a split, each with `filename`, `skip` and `take`; an unknown split raises a ValueError."""
    instructions = builder.info.splits[split].file_instructions
    absent = [file.filename for file in instructions if not Path(file.filename).exists()]
    if absent:
        raise DataNotFoundError(f"{builder.info.name} is incomplete: {', '.join(absent)} is absent; prepare it again")
    return instructions


def read(builder: Any, files: Sequence[Any]) -> Examples:
    """Decodes the examples of the files."""
    from PIL import Image
    from tensorflow_datasets.proto import tf_example_pb2

    shape = builder.info.features["image"].shape
    size = sum(file.take for file in files)
    x, y, identifiers = np.empty((size, *shape), np.uint8), np.empty(size, np.int32), []
    for i, payload in enumerate(_payloads(builder, files)):
        fields = tf_example_pb2.Example.FromString(payload).features.feature
        image = Image.open(io.BytesIO(fields["image"].bytes_list.value[0]), formats=("PNG", "JPEG"))
        x[i] = np.asarray(image).reshape(shape)
        y[i] = fields["label"].int64_list.value[0]
        if "id" in fields:
            identifiers.append(b"".join(fields["id"].bytes_list.value).decode())

    # such as "train_16399": the place of the example in the original files
    numbered = [re.fullmatch(r"(?:train|test)_(\d+)", identifier) for identifier in identifiers]
    places = [int(match[1]) for match in numbered if match]
    return Examples(x, y, np.array(places) if places and len(places) == size else None)


def _payloads(builder: Any, files: Sequence[Any]) -> Iterator[bytes]:
    if builder.info.file_format.value == "tfrecord":
        for file in files:
            yield from read_records(Path(file.filename), file.skip, file.take)
        return

    from array_record.python.array_record_data_source import ArrayRecordDataSource

    try:
        source = ArrayRecordDataSource(files)
        for start in range(0, len(source), _CHUNK):
            yield from source.__getitems__(range(start, min(start + _CHUNK, len(source))))
    except RuntimeError as error:
        raise ValueError(f"{builder.info.name} cannot be read ({error}); prepare it again") from error


def _newest_version(folder: Path, version: str | None) -> Path | None:
    """The folder of the version, or of the newest one, that is fully prepared."""
    prepared = [path.parent for path in folder.glob(f"{version or '*'}/dataset_info.json")]
    numbered = [path for path in prepared if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return max(numbered, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def _require_labelled_images(name: str, features: Any) -> None:
    import tensorflow_datasets as tfds

    if not {"image", "label"} <= set(features):
        raise ValueError(f"{name} is not a set of labelled images: it has {', '.join(features)}")
    image, label = features["image"], features["label"]
    if not isinstance(label, tfds.features.ClassLabel) or image.np_dtype != np.uint8:
        raise ValueError(f"{name} needs 8-bit images and class labels, got image {image!r} and label {label!r}")
    if None in image.shape:
        raise ValueError(f"the images of {name} differ in shape, {image.shape}; load reads images of one shape")


def _remedy(name: str, data_dir: str | os.PathLike[str] | None, version: str | None) -> str:
    """What a user can do about an absent set."""
    settings = {"data_dir": None if data_dir is None else os.fspath(data_dir), "version": version, "download": True}
    arguments = ", ".join(f"{key}={value!r}" for key, value in settings.items() if value is not None)
    return (
        "\n- to download and prepare it once: "
        f'python -c "from infotheory_dl import data; data.load({name!r}, {arguments})"'
        f"\n- if it is prepared elsewhere: set TFDS_DATA_DIR, or pass data_dir, to the folder that holds {name}/"
        "\n- with no network: data.load('digits') needs no download"
    )


def _prepare(name: str, root: Path, version: str | None, remedy: str) -> Path:
    """Downloads a set and writes it as array_record, in the folder returned; the one place that needs TensorFlow."""
    absent = [package for package in ("tensorflow", "importlib_resources") if not importlib.util.find_spec(package)]
    if absent:
        raise ImportError(f"to prepare {name}, first: pip install {' '.join(absent)}")
    import tensorflow_datasets as tfds

    full_name = name if version is None else f"{name}:{version}"
    builder = tfds.builder(full_name, data_dir=root, file_format="array_record")
    for url in list(builder.url_infos or ())[:1]:
        _require_network(name, url, remedy)

    import tensorflow as tf

    # else TensorFlow claims the memory of the GPU that JAX computes on
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return Path(builder.data_dir)


def _require_network(name: str, url: str, remedy: str) -> None:
    """Asks the server for a sign of life: without a network, tensorflow-datasets would try for minutes."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it answers
    except OSError as error:
        raise DataNotFoundError(f"{name} cannot be downloaded: {url} does not answer ({error}){remedy}") from error
