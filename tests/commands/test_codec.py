"""giblet codec compress, decompress, evaluate: there and back through files."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import xarray as xr
from hypothesis import given, strategies as st

from giblet.audio.code_files import CompressedSound, from_bytes, to_bytes
from giblet.audio.codecs.codec import load_codec
from giblet.audio.metrics.scores import score_sound
from giblet.audio.quantized_mel import bits_for, pack_bits, unpack_bits
from giblet.commands.cli import main
from giblet.commands.codec import compress, decompress, evaluate
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_table

RATE = 24000


@pytest.fixture(scope="module")
def speech_file(voice_file):
    return voice_file


@pytest.fixture(scope="module")
def compressed(speech_file, tmp_path_factory):
    file = tmp_path_factory.mktemp("codes") / "speech.codes"
    compress(speech_file, file)
    return file


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_packing_is_lossless(n_bits, n_codebooks, n_frames, seed):
    codes = np.random.default_rng(seed).integers(0, 2**n_bits, (n_codebooks, n_frames))
    packed = pack_bits(codes, n_bits)
    assert len(packed) == -(-codes.size * n_bits // 8)
    np.testing.assert_array_equal(unpack_bits(packed, n_bits, codes.shape), codes)


def test_packing_refuses_what_it_would_lose():
    assert [bits_for(size) for size in (2, 1000, 1024, 1025)] == [1, 10, 10, 11]
    with pytest.raises(ValueError, match=r"lie in \[0, 1023\], got -1"):
        pack_bits(np.full((2, 3), -1), 10)
    with pytest.raises(ValueError, match="to 1024"):
        pack_bits(np.full((2, 3), 1024), 10)
    with pytest.raises(ValueError, match="take 8 bytes, not 7"):
        unpack_bits(bytes(7), 10, (2, 3))


def test_there_and_back_is_what_the_codec_gives(compressed, speech_file, tmp_path):
    sound, _ = soundfile.read(speech_file, dtype="float32")
    decompress(compressed, tmp_path / "back.wav")
    back, rate = soundfile.read(tmp_path / "back.wav", dtype="float32")
    codec = load_codec("bundled", 6.0)
    expected = codec.decode(codec.encode(sound))[: len(sound)]
    assert rate == RATE
    np.testing.assert_allclose(back, np.clip(expected, -1, 1), atol=1 / 32767)
    n_frames = -(-len(sound) // 320)
    assert compressed.stat().st_size == n_frames * 8 * 10 // 8 + 34 + len("bundled")


def test_evaluate_agrees_with_score_sound(speech_file, tmp_path):
    evaluate([speech_file], tmp_path / "scores.tsv", kbps=3.0)
    table = load_table(tmp_path / "scores.tsv").set_index("metric")
    sound, _ = soundfile.read(speech_file, dtype="float32")
    codec = load_codec("bundled", 3.0)
    expected = score_sound(sound, codec.decode(codec.encode(sound))[: len(sound)], RATE)
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-4)
    assert set(table["kbps"]) == {3}
    assert set(table["sound"]) == {speech_file.name}


def as_before(folder, **changes):
    """A second of codes at 6 kbps as giblet 0.1 wrote them, with ``changes``."""
    coder = load_codec("bundled", 6.0)
    attrs = {
        "codec": "bundled",
        "codec_revision": coder.revision,
        "bandwidth_kbps": 6.0,
        "n_codebooks": 8,
        "n_frames": 75,
        "n_samples": 75 * coder.hop_length,
        "packed": np.zeros(75 * 8 * bits_for(coder.codebook_size) // 8, np.uint8),
    } | changes
    packed = {"packed": ("byte", attrs.pop("packed"))}
    xr.Dataset(packed, attrs=attrs).to_netcdf(folder / "x.nc", engine="h5netcdf")
    return folder / "x.nc"


def test_codes_of_other_weights_are_refused(compressed, tmp_path):
    sound = from_bytes(compressed.read_bytes(), compressed)
    (tmp_path / "other.codes").write_bytes(to_bytes(replace(sound, revision="0" * 16)))
    as_before(tmp_path, codec_revision="0" * 16).rename(tmp_path / "other.nc")
    arrays = load_arrays(as_before(tmp_path))
    save_arrays(arrays.rename(packed="other"), tmp_path / "no_codes.nc")
    for name, message in [
        ("other.codes", "other weights"),
        ("other.nc", "other weights"),
        ("no_codes.nc", "has no packed"),
    ]:
        with pytest.raises(GibletError, match=message):
            decompress(tmp_path / name, tmp_path / "back.wav")
    assert not (tmp_path / "back.wav").exists()


def test_files_from_before_decode_to_the_same_sound(speech_file, tmp_path):
    sound, _ = soundfile.read(speech_file, frames=RATE, dtype="float32")
    codes = load_codec("bundled", 6.0).encode(sound)
    old = as_before(tmp_path, packed=np.frombuffer(pack_bits(codes, 10), np.uint8))
    soundfile.write(tmp_path / "short.wav", sound, RATE, subtype="FLOAT")
    compress(tmp_path / "short.wav", tmp_path / "new.codes")
    for file in (old, tmp_path / "new.codes"):
        decompress(file, file.with_suffix(".wav"))
    assert (tmp_path / "x.wav").read_bytes() == (tmp_path / "new.wav").read_bytes()


@pytest.mark.parametrize("kbps", [0.75, 6.0])
def test_a_file_is_its_codes_and_less_than_200_bytes(speech_file, tmp_path, kbps):
    compress(speech_file, tmp_path / "speech.codes", kbps=kbps)
    codes = from_bytes((tmp_path / "speech.codes").read_bytes(), "speech.codes").codes
    assert len(codes) == kbps / 0.75
    n_bytes = (tmp_path / "speech.codes").stat().st_size - codes.size * 10 / 8
    assert 0 <= n_bytes < 50


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 30)),
    n_bits=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read(name, shape, n_bits, seed):
    codes = np.random.default_rng(seed).integers(0, 2**n_bits, shape)
    written = CompressedSound(name, "0123456789abcdef", 2**n_bits, 12345, codes)
    content = to_bytes(written)
    assert len(content) == 34 + len(name.encode()) + -(-codes.size * n_bits // 8)
    read = from_bytes(content, "x")
    np.testing.assert_array_equal(read.codes, codes)
    for field in ("codec", "revision", "codebook_size", "n_samples"):
        assert getattr(read, field) == getattr(written, field)


def test_every_change_and_every_cut_is_seen():
    content = to_bytes(CompressedSound("bundled", "0" * 16, 4, 9, np.ones((2, 9), np.int32)))
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(GibletError, match=r"cut or changed|made by a newer giblet"):
            from_bytes(bytes(changed), "x.codes")
        with pytest.raises(GibletError, match=r"x\.codes: cut or changed"):
            from_bytes(content[:at], "x.codes")
    newer = content[:4] + b"\x02" + content[5:]
    with pytest.raises(GibletError, match=r"newer giblet \(codes of version 2, not 1\)"):
        from_bytes(newer, "x.codes")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"n_samples": 0},
        {"n_samples": 10**9},
        {"codebook_size": 512},
        {"codes": np.zeros((9, 75), int)},
        {"codes": np.zeros((8, 0), int)},
        {"codec": "bundeld"},
    ],
)
def test_codes_that_do_not_fit_to_the_codec_are_refused(spoilt, tmp_path):
    revision = load_codec("bundled", 6.0).revision
    whole = CompressedSound("bundled", revision, 1024, 75 * 320, np.zeros((8, 75), int))
    (tmp_path / "x.codes").write_bytes(to_bytes(whole))
    decompress(tmp_path / "x.codes", tmp_path / "x.wav")
    (tmp_path / "y.codes").write_bytes(to_bytes(replace(whole, **spoilt)))
    with pytest.raises(GibletError, match=r"do not fit to this codec|no such folder"):
        decompress(tmp_path / "y.codes", tmp_path / "y.wav")
    assert not (tmp_path / "y.wav").exists()


def test_on_the_command_line(speech_file, tmp_path, capsys):
    codes = tmp_path / "speech.codes"
    options = ["--sound", str(speech_file), "--codes", str(codes)]
    for words, n in (("--kbps 1.5", 2), ("--kbps 1.4", 2), ("--codebooks 3", 3)):
        assert main(["codec", "compress", *options, *words.split()]) == 0
        assert len(from_bytes(codes.read_bytes(), codes).codes) == n
    assert "1.4 kbps is not offered" in capsys.readouterr().err
    assert main(["codec", "compress", *options, "--kbps", "0"]) == 1
    assert capsys.readouterr().err.startswith("giblet codec compress: codec bundled: 0 kbps cannot")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"n_codebooks": "x"},
        {"n_codebooks": 2**32, "n_frames": 2**32},
        {"n_codebooks": 4},
        {"n_frames": -5},
        {"n_frames": 10**12},
        {"n_samples": -3},
        {"n_samples": 10**9},
        {"bandwidth_kbps": "six"},
        {"bandwidth_kbps": 0.0},
        {"codec": 3},
        {"packed": np.zeros(3, np.uint8)},
        {"packed": np.zeros(750, np.float32)},
    ],
)
def test_codes_of_others_that_do_not_fit_are_refused(spoilt, tmp_path, capsys):
    """A second at 6 kbps is 75 frames of 8 codebooks of 10 bits: 750 bytes."""
    words = ["codec", "decompress", "--codes", str(tmp_path / "x.nc")]
    for changes, ended in (({}, 0), (spoilt, 1)):
        as_before(tmp_path, **changes)
        assert main([*words, "--sound", str(tmp_path / f"{ended}.wav")]) == ended
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "1.wav").exists()


def test_evaluating_no_sounds_is_one_line(tmp_path, capsys):
    words = ["codec", "evaluate", "--scores", str(tmp_path / "scores.tsv"), "--sounds"]
    assert main(words) == 1
    assert "name at least one after --sounds" in capsys.readouterr().err
