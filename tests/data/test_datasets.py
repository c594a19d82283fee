import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infotheory_dl import data
from infotheory_dl.data import _prepared

FORMATS = ("array_record", "tfrecord")


def colours(examples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (examples, 4, 3, 3), dtype=np.uint8)
    return images, generator.integers(0, 2, examples, dtype=np.int32)


def serialized(image: np.ndarray, label: int, identifier: str | None) -> bytes:
    from tensorflow_datasets.proto import tf_example_pb2

    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    example = tf_example_pb2.Example()
    example.features.feature["image"].bytes_list.value.append(file.getvalue())
    example.features.feature["label"].int64_list.value.append(label)
    if identifier is not None:
        example.features.feature["id"].bytes_list.value.append(identifier.encode())
    return example.SerializeToString()


def write_records(path: Path, records: Sequence[bytes]) -> None:
    if "array_record" in path.name:
        from array_record.python.array_record_module import ArrayRecordWriter

        writer = ArrayRecordWriter(str(path), "group_size:1")
        for record in records:
            writer.write(record)
        writer.close()
    else:
        checksum = bytes(4)
        path.write_bytes(b"".join(len(r).to_bytes(8, "little") + checksum + r + checksum for r in records))


def prepare(
    root: Path,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    name: str = "colours",
    file_format: str = "tfrecord",
    version: str = "1.0.0",
    shards: Sequence[int] | None = None,
    ids: Sequence[str] | None = None,
    shape: Sequence[int | None] = (4, 3, 3),
    label_key: str = "label",
) -> Path:
    """Writes a set with the splits train (the shards) and test (its last shard), as tfds lays sets out."""
    folder = root / name / version
    folder.mkdir(parents=True)
    shards = shards or [len(labels)]
    records = [serialized(x, y, ids and ids[i]) for i, (x, y) in enumerate(zip(images, labels, strict=True))]
    starts = np.cumsum([0, *shards])
    for split, parts in (("train", range(len(shards))), ("test", [len(shards) - 1])):
        for number, part in enumerate(parts):
            file = f"{name}-{split}.{file_format}-{number:05d}-of-{len(parts):05d}"
            write_records(folder / file, records[starts[part] : starts[part + 1]])

    split_of = lambda split, lengths: {
        "name": split,
        "numBytes": "1",
        "shardLengths": [str(length) for length in lengths],
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    }
    features = "tensorflow_datasets.core.features"
    dimensions = [str(-1 if length is None else length) for length in shape]
    columns = {
        "image": {
            "pythonClassName": f"{features}.image_feature.Image",
            "image": {"dtype": "uint8", "shape": {"dimensions": dimensions}, "encodingFormat": "png"},
        },
        label_key: {
            "pythonClassName": f"{features}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "2"},
        },
    }
    if ids:
        columns["id"] = {"pythonClassName": f"{features}.text_feature.Text", "text": {}}
    description = {
        "name": name,
        "version": version,
        "fileFormat": file_format,
        "splits": [split_of("train", shards), split_of("test", shards[-1:])],
    }
    python_class = f"{features}.features_dict.FeaturesDict"
    (folder / "dataset_info.json").write_text(json.dumps(description))
    (folder / "features.json").write_text(
        json.dumps({"pythonClassName": python_class, "featuresDict": {"features": columns}})
    )
    (folder / f"{label_key}.labels.txt").write_text("warm\ncold\n")
    return folder


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    digits = data.load()
    np.testing.assert_array_equal(digits.x.reshape(-1, 64), images)
    np.testing.assert_array_equal(digits.y, labels)
    assert digits.x.shape == (1797, 8, 8, 1)
    assert (digits.x.dtype, digits.y.dtype) == (np.uint8, np.int32)
    assert (digits.num_classes, digits.class_names, digits.name) == (10, tuple("0123456789"), "digits")


def test_digits_come_from_scikit_learn_where_its_file_is_elsewhere(monkeypatch):
    expected = data.load()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    np.testing.assert_array_equal(data.load().x, expected.x)


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train[:1000]", slice(1000)),
        ("train[1000:]", slice(1000, None)),
        ("train[-7:-2]", slice(-7, -2)),
        ("train[50%:75%]", slice(898, 1348)),
    ],
)
def test_digits_can_be_sliced(split, rows):
    part = data.load("digits", split)
    np.testing.assert_array_equal(part.x, data.load().x[rows])
    np.testing.assert_array_equal(part.original_index, np.arange(1797)[rows])


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_prepared_set_is_read_in_its_order(tmp_path, file_format):
    images, labels = colours(11)
    prepare(tmp_path, images, labels, file_format=file_format, shards=[4, 5, 2])
    colour = data.load("colours", data_dir=tmp_path)
    np.testing.assert_array_equal(colour.x, images)
    np.testing.assert_array_equal(colour.y, labels)
    assert (colour.x.dtype, colour.y.dtype) == (np.uint8, np.int32)
    assert (colour.num_classes, colour.class_names, colour.name) == (2, ("warm", "cold"), "colours")
    assert colour.original_index is None


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    ("split", "rows"),
    [("train[3:8]", [3, 4, 5, 6, 7]), ("test", [9, 10]), ("train[:2]+test", [0, 1, 9, 10]), ("train[90%:]", [10])],
)
def test_splits_are_cut_across_files(tmp_path, file_format, split, rows):
    images, labels = colours(11)
    prepare(tmp_path, images, labels, file_format=file_format, shards=[4, 5, 2])
    colour = data.load("colours", split, data_dir=tmp_path)
    np.testing.assert_array_equal(colour.x, images[rows])
    np.testing.assert_array_equal(colour.y, labels[rows])


def test_the_place_in_the_original_files_is_kept_where_the_set_tells_it(tmp_path):
    prepare(tmp_path, *colours(3), ids=["train_00002", "train_00000", "train_00001"])
    np.testing.assert_array_equal(data.load("colours", data_dir=tmp_path).original_index, [2, 0, 1])


def test_cifar10_is_loaded_by_its_name(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 2, 5, dtype=np.int32)
    ids = [f"train_{place:05d}" for place in (4, 0, 3, 1, 2)]
    prepare(tmp_path, images, labels, name="cifar10", file_format="array_record", shape=(32, 32, 3), ids=ids)
    cifar = data.load("cifar10", "train[1:]", data_dir=tmp_path)
    np.testing.assert_array_equal(cifar.x, images[1:])
    np.testing.assert_array_equal(cifar.y, labels[1:])
    np.testing.assert_array_equal(cifar.original_index, [0, 3, 1, 2])


def test_names_that_are_not_numbered_are_no_places(tmp_path):
    prepare(tmp_path, *colours(3), ids=["train_00002", "sunset", "train_00001"])
    assert data.load("colours", data_dir=tmp_path).original_index is None


def test_the_newest_version_is_read_unless_another_is_asked_for(tmp_path):
    old, new = colours(2, seed=1), colours(2, seed=2)
    prepare(tmp_path, *old, version="1.9.0")
    prepare(tmp_path, *new, version="1.10.0")
    (tmp_path / "colours" / "2.0.0.incomplete").mkdir()
    np.testing.assert_array_equal(data.load("colours", data_dir=tmp_path).x, new[0])
    np.testing.assert_array_equal(data.load("colours", data_dir=tmp_path, version="1.9.0").x, old[0])


def test_the_folder_comes_from_the_environment_at_the_time_of_the_call(tmp_path, monkeypatch):
    images, labels = colours(2)
    prepare(tmp_path, images, labels)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    np.testing.assert_array_equal(data.load("colours").x, images)


def test_a_second_load_maps_the_cached_arrays(tmp_path, monkeypatch):
    prepare(tmp_path, *colours(3), ids=["train_2", "train_0", "train_1"])
    first = data.load("colours", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(_prepared, "read", lambda *arguments: pytest.fail("decoded again"))
    second = data.load("colours", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert isinstance(second.x, np.memmap)
    for ours, cached in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, cached)
    with pytest.raises(pytest.fail.Exception):
        data.load("colours", "test", data_dir=tmp_path, cache_dir=tmp_path / "cache")


def test_the_cache_follows_the_files(tmp_path):
    for examples in (2, 3):
        images, labels = colours(examples)
        prepare(tmp_path / str(examples), images, labels)
        cached = data.load("colours", data_dir=tmp_path / str(examples), cache_dir=tmp_path / "cache")
        np.testing.assert_array_equal(cached.x, images)


def test_a_load_that_fails_leaves_no_cache(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    prepare(tmp_path, *colours(2))
    monkeypatch.setattr(_prepared, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load("colours", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_file_that_is_cut_short_is_named(tmp_path):
    for cut in (1, 20, 100):
        folder = prepare(tmp_path / str(cut), *colours(4))
        file = folder / "colours-train.tfrecord-00000-of-00001"
        file.write_bytes(file.read_bytes()[:-cut])
        with pytest.raises(ValueError, match=f"{file.name} is cut short: it ends in record 3 of 4; prepare it again"):
            data.load("colours", data_dir=tmp_path / str(cut))


def test_an_array_record_that_is_cut_short_says_so(tmp_path):
    folder = prepare(tmp_path, *colours(200), file_format="array_record")
    file = folder / "colours-train.array_record-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-70_000])
    with pytest.raises(ValueError, match=r"colours cannot be read .*; prepare it again"):
        data.load("colours", data_dir=tmp_path)


def test_a_file_that_is_absent_is_named(tmp_path):
    folder = prepare(tmp_path, *colours(4), shards=[2, 2])
    (folder / "colours-train.tfrecord-00001-of-00002").unlink()
    with pytest.raises(data.DataNotFoundError, match=r"incomplete: .*train\.tfrecord-00001-of-00002 is absent"):
        data.load("colours", data_dir=tmp_path)


def test_an_absent_set_says_where_it_was_sought_and_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        data.load("mnist", data_dir=tmp_path, version="3.0.1")
    message = str(caught.value)
    assert isinstance(caught.value, data.DataNotFoundError)
    assert f"mnist 3.0.1 is not prepared in {tmp_path / 'mnist'}" in message
    assert f"data.load('mnist', data_dir={str(tmp_path)!r}, version='3.0.1', download=True)" in message
    assert "set TFDS_DATA_DIR" in message
    assert "data.load('digits') needs no download" in message


def test_an_unknown_name_suggests_known_ones(tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'mnits'; did you mean 'mnist'"):
        data.load("mnits", data_dir=tmp_path)
    with pytest.raises(ValueError, match="unknown data set 'didgits'; did you mean 'digits'"):
        data.load("didgits", data_dir=tmp_path)


def test_an_unknown_split_lists_the_splits(tmp_path):
    prepare(tmp_path, *colours(2))
    with pytest.raises(ValueError, match=r"Unknown split 'validation'. Should be one of \['train', 'test'\]"):
        data.load("colours", "validation", data_dir=tmp_path)
    with pytest.raises(ValueError, match="unknown split 'test' of digits; choose 'train' or a slice"):
        data.load("digits", "test")
    with pytest.raises(ValueError, match="'train\\[:5000\\]' does not fit the 1797 examples of digits"):
        data.load("digits", "train[:5000]")


def test_sets_of_other_things_are_refused(tmp_path):
    prepare(tmp_path / "shapes", *colours(2), shape=(None, None, 3))
    with pytest.raises(ValueError, match=r"the images of colours differ in shape, \(None, None, 3\)"):
        data.load("colours", data_dir=tmp_path / "shapes")
    prepare(tmp_path / "unlabelled", *colours(2), label_key="digit")
    with pytest.raises(ValueError, match=r"colours is not a set of labelled images: it has .*digit"):
        data.load("colours", data_dir=tmp_path / "unlabelled")


def test_a_download_without_its_packages_names_them(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    absent = lambda name, *rest: None if name == "importlib_resources" else find_spec(name, *rest)
    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(ImportError, match="to prepare mnist, first: pip install importlib_resources"):
        data.load("mnist", data_dir=tmp_path, download=True)


def test_a_download_without_a_network_fails_at_once():
    with pytest.raises(data.DataNotFoundError, match=r"mnist cannot be downloaded: http://localhost:9/.*REMEDY"):
        _prepared._require_network("mnist", "http://localhost:9/mnist.gz", "REMEDY")


def test_a_prepared_set_is_read_without_tensorflow(tmp_path):
    for file_format in FORMATS:
        prepare(tmp_path / file_format, *colours(5), file_format=file_format)
    program = f"""
import sys
from infotheory_dl import data
heavy = {{"tensorflow", "tensorflow_datasets", "sklearn", "PIL", "array_record"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
data.load("digits")
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for file_format in {FORMATS}:
    assert len(data.load("colours", data_dir={str(tmp_path)!r} + "/" + file_format).x) == 5
assert "tensorflow" not in sys.modules
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("folder", ["tfds", "tfds_tfrecord"])
def test_mnist_is_bit_exact(shared_data, folder):
    if not (shared_data / folder / "mnist").is_dir():
        pytest.skip(f"there is no mnist in {shared_data / folder}")
    digest = lambda array: hashlib.sha256(array.astype(np.uint8).tobytes()).hexdigest()[:16]
    mnist = data.load("mnist", "test", data_dir=shared_data / folder)
    assert mnist.x.shape == (10_000, 28, 28, 1)
    assert (digest(mnist.x), digest(mnist.y)) == ("a85d8dffc6063fb8", "927a9033bdc84a35")
