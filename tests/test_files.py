"""Files are whole or absent, and an error names them."""

import errno
import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from infotheory_dl._files import (
    append_line,
    read_arrays,
    require_writable,
    whole_file,
    whole_folder,
    write_arrays,
    write_or_keep,
    write_text,
    write_together,
)

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_has_its_name_once_it_is_complete(tmp_path):
    file = tmp_path / "new" / "folder" / "file"
    with whole_file(file) as stream:
        stream.write(b"half")
        assert not file.exists()
        stream.write(b" and half")
    assert file.read_bytes() == b"half and half"
    write_text(file, "ψ\n")
    assert file.read_bytes() == "ψ\n".encode()
    assert os.listdir(file.parent) == ["file"]


def test_a_full_disk_names_the_file_and_leaves_the_one_before(tmp_path):
    def fill(path):
        with whole_file(path) as stream:
            stream.write(b"half")
            raise FULL

    write_text(tmp_path / "file", "before")
    with pytest.raises(OSError, match=r"cannot write .*/file: No space left on device$") as raised:
        fill(tmp_path / "file")
    assert raised.value.errno == errno.ENOSPC
    assert (tmp_path / "file").read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_all_files_that_belong_together(tmp_path, monkeypatch):
    write_together(tmp_path, {"a": "1", "b": b"1"})
    write = Path.write_bytes

    def fail_late(path, content):
        if path.name == "b":
            raise FULL
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_late)
    with pytest.raises(OSError, match=rf"cannot write to {tmp_path}: No space left on device$"):
        write_together(tmp_path, {"a": "2", "b": "2"})
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["1", "1"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "below"
    for write in (require_writable, lambda path: write_text(path / "a", ""), lambda path: write_together(path, {})):
        with pytest.raises(NotADirectoryError, match=r"cannot write .*file/below.*: Not a directory$"):
            write(below)
    with pytest.raises(IsADirectoryError, match=rf"cannot write {tmp_path}: Is a directory$"):
        write_text(tmp_path, "")


def test_writers_in_one_folder_do_not_meet(tmp_path):
    """Each of several threads and processes writes its own; the last one stays, whole."""
    whole = [str(i) * 50_000 for i in range(4)]
    program = "import sys; from infotheory_dl._files import write_text, write_together\n"
    program += "for i in range(50): write_text(sys.argv[1], '0' * 50_000); "
    program += "write_together(sys.argv[2], dict.fromkeys('ab', '0'))"
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "file"), str(tmp_path)])

    def write(text):
        for _ in range(50):
            write_text(tmp_path / "file", text)
            write_together(tmp_path, {"a": text, "b": text})

    threads = [threading.Thread(target=write, args=(text,)) for text in whole]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait() == 0
    assert (tmp_path / "file").read_text() in whole
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "file"]
    # files that were written together are of one writer
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_a_folder_is_that_of_the_first_writer(tmp_path):
    folder = tmp_path / "parent" / "folder"
    with whole_folder(folder) as late:
        (late / "a").write_text("late")
        with whole_folder(folder) as early:
            (early / "a").write_text("early")
            assert not folder.exists()
    assert (folder / "a").read_text() == "early"
    assert os.listdir(folder.parent) == ["folder"]
    with pytest.raises(OSError, match=r"cannot write .*/other: No space"), whole_folder(tmp_path / "other"):
        raise FULL
    assert os.listdir(tmp_path) == ["parent"]


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path):
    program = "import os, sys; from infotheory_dl._files import whole_file\n"
    program += "with whole_file(sys.argv[1]) as stream: stream.write(b'half'); stream.flush(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "file[1]"]).returncode == 9
    (left,) = tmp_path.iterdir()
    write_text(tmp_path / "file[1]", "whole")
    assert left.exists()
    os.utime(left, (0, 0))
    write_text(tmp_path / "file[1]", "whole")
    assert os.listdir(tmp_path) == ["file[1]"]


def test_arrays_come_back_and_equal_ones_are_equal_files(tmp_path):
    arrays = {"file": np.arange(3), "allow_pickle": np.zeros((0, 2)), "a.b": np.array("word"), "c": np.float32(2)[None]}
    for name in ("first.npz", "second.npz"):
        with whole_file(tmp_path / name) as stream:
            write_arrays(stream, arrays)
    again = read_arrays(tmp_path / "first.npz", remedy="")
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_a_file_that_cannot_be_read_is_told_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot read .*absent.npz: No such file or directory; make one$"):
        read_arrays(tmp_path / "absent.npz", remedy="make one")
    (tmp_path / "text.npz").write_text("x,y")
    with pytest.raises(ValueError, match=r"text.npz is not an .npz file; make one$"):
        read_arrays(tmp_path / "text.npz", remedy="make one")
    np.savez(tmp_path / "objects.npz", x=np.array([None, {}], object))
    with pytest.raises(
        ValueError,
        match=r"objects.npz cannot be read \(x holds objects, which only pickle reads; make it .*\); make one$",
    ):
        read_arrays(tmp_path / "objects.npz", remedy="make one")
    np.savez_compressed(tmp_path / "damaged.npz", x=np.arange(1000))
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[200:400] = bytes(200)
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged.npz cannot be read \(.*\); make one$"):
        read_arrays(tmp_path / "damaged.npz", remedy="make one")


def test_arrays_that_promise_more_than_the_file_or_the_memory_has_are_refused_before_they_are_made(tmp_path):
    def promise(shape, compression, content):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(tmp_path / "large.npz", "w", compression) as archive:
            archive.writestr("x.npy", header.getvalue() + content)

    promise((10**9, 1000), zipfile.ZIP_STORED, b"12345678")
    with pytest.raises(
        ValueError, match=r"x of shape \(1000000000, 1000\) needs 8,000,000,000,000 bytes, the file has"
    ):
        read_arrays(tmp_path / "large.npz", remedy="make one")
    promise((10**6,), zipfile.ZIP_DEFLATED, bytes(8 * 10**6))
    assert read_arrays(tmp_path / "large.npz", remedy="make one")["x"].sum() == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infotheory_dl._files.machine_memory", lambda: 2.0**20)
        with pytest.raises(ValueError, match=r"its arrays need 0.0 GiB, this machine has 0.0 GiB\); make one"):
            read_arrays(tmp_path / "large.npz", remedy="make one")


def test_an_archive_of_other_files_is_no_file_of_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "sheet.npz", "w") as archive:
        archive.writestr("sheet.xml", "<sheet/>")
    with pytest.raises(ValueError, match=r"sheet.npz cannot be read \(sheet.xml in it is no array\); make one"):
        read_arrays(tmp_path / "sheet.npz", remedy="make one")


def test_lines_are_added_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "new" / "rows"
    for line in ("first", "ψ"):
        append_line(file, line)
    assert file.read_text(encoding="utf-8") == "first\nψ\n"

    class Full(io.FileIO):
        def write(self, content):
            return super().write(bytes(content)[:3])

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode, buffering: Full(path, "a"))
        with pytest.raises(OSError, match=r"cannot write .*/rows: No space left on device$"):
            append_line(file, "third")
    assert file.read_bytes() == "first\nψ\n".encode()


def test_what_cannot_be_written_to_a_full_disk_is_kept_elsewhere(tmp_path, monkeypatch):
    full, refuge = tmp_path / "full", tmp_path / "refuge"
    refuge.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(refuge))

    def write(folder):
        if folder == full or not refuge.exists():
            raise OSError(errno.ENOSPC, "cannot write to full: No space left on device")
        write_text(folder / "result", "found")
        return folder / "result"

    with pytest.warns(UserWarning, match=r"cannot write to full: No space .*; what was to be written there is in .*"):
        kept = write_or_keep(full, write)
    assert kept.read_text() == "found"
    assert kept.parent.parent == refuge
    assert write_or_keep(tmp_path, write) == tmp_path / "result"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(OSError, match="cannot write to full"):
        write_or_keep(full, write)
