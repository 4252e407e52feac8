"""A file that was cut or changed anywhere is named, and never read as something else."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from giblet.audio.codecs.codec import BUNDLED, codec_folder, load_codec
from giblet.codec_training.registry import load_network
from giblet.errors import GibletError
from giblet.io.arrays import append_arrays, load_arrays, new_variable, open_arrays, save_arrays
from giblet.io.checksums import (
    FORMAT_VERSION,
    SUMS,
    Damaged,
    check_seal,
    check_sums,
    fingerprint,
    seal,
    sealed_bytes,
    set_aside,
    write_sums,
)


def damages(content, rng, n_cuts=40, n_flips=100):
    """The content cut at many places, or with one bit of it changed, its two ends foremost."""
    n = len(content)
    ends = [*range(min(100, n)), *range(max(0, n - 200), n)]
    for cut in {*rng.integers(0, n, n_cuts), *ends[::7], n - 1}:
        yield content[:cut]
    for place in {*rng.integers(0, n, n_flips), *ends[::3]}:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


def said_of(path, read):
    """What is said of a file that cannot be read, and what was read of one that can."""
    try:
        return None, read(path)
    except GibletError as error:
        return str(error), None


def check_damages(path, read, same, rng, **how_many):
    """Every damage of a file is named, or changes nothing that is read.

    Returns how many were named, and how many not.
    """
    content, whole, named = path.read_bytes(), read(path), []
    for damaged in damages(content, rng, **how_many):
        path.write_bytes(damaged)
        said, found = said_of(path, read)
        named.append(said is not None)
        if said is None:
            assert same(found, whole)
        else:
            assert said.startswith(str(path.parent))
            assert len(said.splitlines()) == 1
    path.write_bytes(content)
    assert same(read(path), whole)
    return sum(named), len(named) - sum(named)


@pytest.fixture
def arrays(rng):
    bold = rng.standard_normal((40, 30)).astype(np.float32)
    coords = {"tr": np.arange(40), "name": ("voxel", [f"v{n}" for n in range(30)])}
    return xr.Dataset({"bold": (("tr", "voxel"), bold)}, coords, {"t_r": 1.5, "n": 4})


def test_arrays_that_were_cut_or_changed_are_named(arrays, tmp_path, rng):
    save_arrays(arrays, tmp_path / "a.nc")
    named, unnamed = check_damages(tmp_path / "a.nc", load_arrays, xr.Dataset.identical, rng)
    assert named > 200
    assert not unnamed


@pytest.fixture
def in_chunks(arrays, tmp_path):
    sizes = dict(arrays["bold"].sizes)
    with new_variable(tmp_path / "b.nc", "bold", sizes, chunks=(20, 7)) as bold:
        bold[:] = arrays["bold"].to_numpy()
    append_arrays(arrays.drop_vars("bold"), tmp_path / "b.nc")
    return tmp_path / "b.nc"


def test_chunks_that_were_changed_are_named_when_they_are_read(in_chunks, rng):
    def read(path):
        with open_arrays(path) as opened:
            return opened.load()

    assert check_damages(in_chunks, read, xr.Dataset.identical, rng)[0] > 150


def test_a_chunk_that_nobody_reads_is_not_looked_at(in_chunks, arrays):
    content = bytearray(in_chunks.read_bytes())
    place = content.index(arrays["bold"][:20, :7].to_numpy().tobytes())
    content[place + 4] ^= 1
    in_chunks.write_bytes(content)
    with open_arrays(in_chunks) as opened:
        np.testing.assert_array_equal(opened["bold"][20:], arrays["bold"][20:])
    with (
        pytest.raises(GibletError, match=r"b\.nc: cut or changed"),
        open_arrays(in_chunks) as opened,
    ):
        opened["bold"][:3].to_numpy()


def test_other_readers_see_no_seal(arrays, tmp_path):
    save_arrays(arrays, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as theirs:
        assert theirs.attrs["giblet_format"] == FORMAT_VERSION
        xr.testing.assert_equal(theirs, arrays)


def test_a_seal_holds_what_was_sealed(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789")
    assert check_seal(path) is None
    with pytest.raises(GibletError, match="cut or changed"):
        sealed_bytes(path)
    seal(path)
    assert check_seal(path) == 10
    assert sealed_bytes(path) == b"0123456789"


def test_files_of_a_newer_giblet_are_told(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr("giblet.io.arrays.FORMAT_VERSION", FORMAT_VERSION + 1)
    save_arrays(arrays, tmp_path / "a.nc")
    with pytest.raises(GibletError, match=r"a\.nc: made by a newer giblet .*: upgrade giblet"):
        load_arrays(tmp_path / "a.nc")


@pytest.fixture
def folder(tmp_path, rng):
    (tmp_path / "weights").write_bytes(rng.bytes(500))
    (tmp_path / "it's a config.json").write_text('{"n": [1, 2, 3], "name": "a longer text to cut"}')
    write_sums(tmp_path, ["weights", "it's a config.json"])
    return tmp_path


def test_sums_are_those_that_sha256sum_checks(folder):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    done = subprocess.run(["sha256sum", "--strict", "-c", SUMS], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["weights", "it's a config.json", SUMS])
def test_a_file_that_is_not_as_its_sum_is_named(folder, name, rng):
    def read(path):
        check_sums(folder, ["weights", "it's a config.json"])

    assert check_damages(folder / name, read, lambda one, other: True, rng, n_flips=40)[0] > 50


def test_sums_may_be_needed(folder):
    (folder / SUMS).unlink()
    check_sums(folder, ["weights"])
    with pytest.raises(GibletError, match="no such file"):
        check_sums(folder, ["weights"], needed=True)


@pytest.mark.parametrize("load", [load_codec, load_network])
def test_a_bundled_codec_that_was_changed_is_not_loaded(load, tmp_path):
    load(str(shutil.copytree(codec_folder(BUNDLED), tmp_path / "whole")))
    codec = shutil.copytree(codec_folder(BUNDLED), tmp_path / "changed")
    weights = bytearray((codec / "model.safetensors").read_bytes())
    weights[-1] ^= 1  # a weight: it can be read all the same
    (codec / "model.safetensors").write_bytes(weights)
    with pytest.raises(Damaged, match=r"model\.safetensors: cut or changed"):
        load(str(codec))


def test_what_is_damaged_is_set_aside_whole_and_only_among_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for model in (Path("results/demo/model"), Path("own/model")):
        model.mkdir(parents=True)
        for name in ("a.json", "b.json"):
            (model / name).write_text("{}")
        write_sums(model, ["a.json", "b.json"])
        (model / "b.json").write_text("{1}")
        for _twice in range(2):
            with pytest.raises(Damaged, match="cut or changed") as found:
                check_sums(model, ["a.json", "b.json"])
            said = set_aside(found.value)
            if model.parts[0] == "own":
                assert said == str(found.value)
                assert (model / "b.json").is_file()
            else:
                assert "It is results/demo/model.damaged now: run again" in said
                assert not model.exists()
                assert set_aside(found.value) == said  # another rule found it, too
                assert Path("results/demo/model.damaged/b.json").read_text() == "{1}"
                shutil.copytree("results/demo/model.damaged", model)


def test_a_folders_fingerprint_is_of_all_its_files_in_order_of_their_names(tmp_path):
    files = {"a.txt": "one", "deep/deeper/b.txt": "two"}
    for folder, names in (("first", list(files)), ("second", list(files)[::-1])):
        for name in names:
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(files[name])
    before = fingerprint(tmp_path / "first")
    assert fingerprint(tmp_path / "second") == before
    (tmp_path / "first/deep/deeper/b.txt").write_text("three")
    assert fingerprint(tmp_path / "first") != before
