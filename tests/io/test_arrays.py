"""Files are written whole or not at all, say where they come from, and are refused when broken."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.errors import GibletError
from giblet.io.arrays import append_arrays, load_arrays, new_variable, open_arrays, save_arrays
from giblet.io.atomic import replacing, replacing_folder
from giblet.io.checksums import fingerprint
from giblet.io.tables import gather_tables, load_json, load_table, load_yaml, save_json, save_table


class Interrupted(Exception):
    pass


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.fixture
def arrays(rng):
    codes = rng.integers(0, 1024, (4, 8, 112)).astype(np.int32)
    text = rng.standard_normal((4, 3)).astype(np.float32)
    return xr.Dataset(
        {"audio": (("tr", "row", "frame"), codes), "text": (("tr", "feature"), text)},
        coords={"tr": np.arange(4)},
        attrs={"t_r": 1.5, "n": 4, "film": "it's a film.mp4"},
    )


def test_arrays_come_back_as_they_were(arrays, tmp_path):
    save_arrays(arrays, tmp_path / "new folder" / "a.nc")
    loaded = load_arrays(tmp_path / "new folder" / "a.nc")
    xr.testing.assert_equal(loaded, arrays)
    assert {name: array.dtype for name, array in loaded.items()} == {
        "audio": np.int32,
        "text": np.float32,
    }
    assert loaded.attrs == arrays.attrs | {"giblet_version": version("giblet")}
    assert names(tmp_path) == ["a.nc", "new folder"]


def test_attributes_that_netcdf_cannot_hold_become_json(arrays, tmp_path):
    attrs = {"warnings": ["one", "two"], "none": None, "yes": True, "number": np.float32(0.5)}
    save_arrays(arrays.assign_attrs(attrs), tmp_path / "a.nc")
    loaded = load_arrays(tmp_path / "a.nc").attrs
    assert json.loads(loaded["warnings"]) == ["one", "two"]
    assert json.loads(loaded["none"]) is None
    assert json.loads(loaded["yes"]) is True
    assert loaded["number"] == 0.5


def test_an_open_array_set_reads_only_what_is_asked_for(arrays, tmp_path):
    save_arrays(arrays, tmp_path / "a.nc")
    with open_arrays(tmp_path / "a.nc") as opened:
        part = opened["audio"][1:3, 2].to_numpy()
        assert not opened["audio"].variable._in_memory
        assert opened.attrs == arrays.attrs | {"giblet_version": version("giblet")}
    np.testing.assert_array_equal(part, arrays["audio"][1:3, 2])


def test_a_variable_is_filled_slice_by_slice_and_gets_company(arrays, tmp_path):
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    with new_variable(tmp_path / "a.nc", "bold", {"tr": 4, "voxel": 5}, chunks=(2, 3)) as bold:
        bold[2:], bold[:2] = values[2:], values[:2]
    append_arrays(arrays, tmp_path / "a.nc")
    save_arrays(arrays.assign(bold=(("tr", "voxel"), values)), tmp_path / "b.nc")
    xr.testing.assert_identical(load_arrays(tmp_path / "a.nc"), load_arrays(tmp_path / "b.nc"))


def test_the_same_arrays_give_the_same_bytes(arrays, tmp_path):
    save_arrays(arrays, tmp_path / "a.nc")
    save_arrays(arrays, tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_an_interrupted_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise Interrupted

    with pytest.raises(Interrupted):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_is_not_there_before_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".txt"  # writers go by the ending
    assert path.read_text() == "new"


def test_an_interrupted_folder_leaves_the_old_one(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()

    def write():
        with replacing_folder(folder) as temporary:
            (temporary / "new").touch()
            raise Interrupted

    with pytest.raises(Interrupted):
        write()
    assert names(tmp_path) == ["model", "old"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    (folder / "brain.wav").touch()
    with replacing_folder(folder) as temporary:
        (temporary / "codec.wav").touch()
    assert names(tmp_path) == ["audio", "codec.wav"]


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_disk_has_all_of_it_before_and_after_it_gets_its_name(write, tmp_path, monkeypatch):
    done = []

    def note(function):
        def called(what, *rest):
            done.append((what, *rest) if rest else os.fstat(what).st_ino)
            return function(what, *rest)

        return called

    monkeypatch.setattr(os, "fsync", note(os.fsync))
    monkeypatch.setattr(os, "replace", note(os.replace))
    with write(tmp_path / "a") as temporary:
        file = temporary if write is replacing else temporary / "b.txt"
        file.write_text("new")
    written = ["a"] if write is replacing else ["a/b.txt", "a"]
    assert done[:-2] == [(tmp_path / name).stat().st_ino for name in written]
    assert done[-2:] == [(temporary, tmp_path / "a"), tmp_path.stat().st_ino]


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_what_is_no_file_or_folder_is_not_replaced(write, tmp_path, monkeypatch):
    """Such as a device; here a pipe, and a file in the place of a folder or the reverse."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    other = Path("other")
    other.mkdir() if write is replacing else other.write_text("a film")
    before = {name: (tmp_path / name).stat() for name in names(tmp_path)}
    for name, said in (
        *((name, "is there already, and is not a") for name in before),
        *((name, "is no name") for name in ("", ".", "..", "/", "other/..")),
        (os.fsdecode(b"caf\xe9"), r"caf\\xe9: its name is not UTF-8; rename it"),
    ):
        with pytest.raises(GibletError, match=said), write(name) as temporary:
            temporary.mkdir() if write is replacing_folder else temporary.touch()
    assert {name: (tmp_path / name).stat() for name in names(tmp_path)} == before


def test_a_table_with_a_nul_in_it_is_no_text(tmp_path):
    (tmp_path / "runs.tsv").write_text("subject\nsub-a\0b\n")
    with pytest.raises(GibletError, match=r"runs.tsv: not text in UTF-8: it has a NUL in it"):
        load_table(tmp_path / "runs.tsv")


KILLED = """
import os, signal, sys
from pathlib import Path
from giblet.io import atomic as replacing
path, do, die = Path(sys.argv[1]), getattr(replacing, sys.argv[2]), sys.argv[3]
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
if die == "renaming":
    os.replace = kill
with do(path) as temporary:
    file = temporary if do is replacing.replacing else temporary / "b.txt"
    file.write_text("half of the n")
    if die == "writing":
        kill()
"""


@pytest.mark.parametrize("when", ["writing", "renaming"])
@pytest.mark.parametrize(("name", "write"), [("a.txt", replacing), ("it's", replacing_folder)])
def test_what_a_killed_writer_left_goes_with_the_next(name, write, when, tmp_path):
    path = tmp_path / name
    with write(path) as temporary:
        (temporary if write is replacing else temporary / "old").write_text("old")
    before = names(tmp_path)
    command = [sys.executable, "-c", KILLED, path, write.__name__, when]
    assert subprocess.run(list(map(str, command))).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) > len(before)  # a hidden one is left, and the old is whole
    assert {n for n in names(tmp_path) if not n.startswith(".")} >= set(before)
    assert (path if write is replacing else path / "old").read_text() == "old"
    beside = tmp_path / f".{path.stem}.{os.getppid()}-notes{path.suffix}"
    beside.touch()  # somebody else's
    with write(path) as temporary:
        (temporary if write is replacing else temporary / "old").write_text("new")
    assert names(tmp_path) == sorted([*before, beside.name])


def test_what_is_being_written_stays(tmp_path):
    host = re.search(r"\.a\.(.+)-\d+\.txt", replacing(tmp_path / "a.txt").__enter__().name)[1]
    mine, others = (tmp_path / f".a.{h}-{os.getppid()}.txt" for h in (host, "another"))
    for each in (mine, others):
        each.touch()
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.touch()
    assert names(tmp_path) == sorted(["a.txt", mine.name, others.name])
    os.utime(others, (0, 0))  # long ago
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.touch()
    assert names(tmp_path) == sorted(["a.txt", mine.name])


def test_a_fingerprint_is_of_the_contents_alone(tmp_path):
    for name, text in {"a": "one", "b": "two", "c": "one"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in "abc")
    assert fingerprint(a) == fingerprint(c) != fingerprint(b)
    assert fingerprint(a, b) != fingerprint(b, a)
    before = fingerprint(tmp_path)
    b.write_text("three")
    assert fingerprint(tmp_path) != before


def test_tables_come_back_with_their_missing_values(tmp_path):
    table = pd.DataFrame({"text": ["NA", "it's", "null"], "value": [1.5, np.nan, -2.0]})
    save_table(table, tmp_path / "a.tsv")
    pd.testing.assert_frame_equal(load_table(tmp_path / "a.tsv"), table, check_dtype=False)
    assert "n/a" in (tmp_path / "a.tsv").read_text()


def test_commas_are_read_too(tmp_path):
    (tmp_path / "a.csv").write_text('onset,text\n0.5,"yes, no"\n')
    assert load_table(tmp_path / "a.csv")["text"].tolist() == ["yes, no"]


def test_tables_of_a_folder_become_one_beside_it(tmp_path):
    folder = tmp_path / "scores"
    save_table(pd.DataFrame({"path": ["mel"], "value": [1.0]}), folder / "mel.tsv")
    save_table(pd.DataFrame({"path": ["encodec"], "value": [2.0]}), folder / "encodec.tsv")
    (folder / ".mel.123.tsv").write_text("half wri")  # by another process, not yet renamed
    gather_tables(folder)
    assert load_table(tmp_path / "scores.tsv")["path"].tolist() == ["encodec", "mel"]


def test_json_is_the_same_whatever_the_order(tmp_path):
    save_json({"b": 1, "a": [1.5]}, tmp_path / "a.json")
    save_json({"a": [1.5], "b": 1}, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert load_json(tmp_path / "a.json") == {"a": [1.5], "b": 1}


def test_yaml_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("mel: {n_mels: 80}\n")
    (tmp_path / "empty.yaml").touch()
    assert load_yaml(tmp_path / "a.yaml") == {"mel": {"n_mels": 80}}
    assert load_yaml(tmp_path / "empty.yaml") == {}
    (tmp_path / "twice.yaml").write_text("t_r: 1.5\nmel: {n_mels: 80, n_mels: 40}\n")
    with pytest.raises(GibletError, match=r"the key n_mels stands twice.*line 2"):
        load_yaml(tmp_path / "twice.yaml")


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (load_arrays, "a.nc"),
        (lambda path: open_arrays(path).__enter__(), "a.nc"),
        (load_table, "a.tsv"),
        (load_json, "a.json"),
        (load_yaml, "a.yaml"),
    ],
)
def test_missing_and_broken_files_are_named(load, name, tmp_path):
    path = tmp_path / name
    with pytest.raises(GibletError, match=f"{name}: no such file"):
        load(path)
    path.write_bytes(b'a\tb\n"\xff\x00{[: \t\t\t')
    with pytest.raises(GibletError, match=f"{name}: not"):
        load(path)


def test_other_tables_are_refused(tmp_path):
    with pytest.raises(GibletError, match=r"tables are \.tsv or \.csv, not \.xlsx"):
        load_table(tmp_path / "a.xlsx")
