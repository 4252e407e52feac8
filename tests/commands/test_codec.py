"""giblet codec compress, decompress, evaluate: there and back through files."""

import numpy as np
import pytest
import soundfile
import xarray as xr
from hypothesis import given, strategies as st

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
    file = tmp_path_factory.mktemp("codes") / "speech.nc"
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
    n_bits = 8 * load_arrays(compressed)["packed"].size
    assert n_bits / (len(sound) / RATE) == pytest.approx(6000, rel=0.01)
    assert compressed.stat().st_size < 0.05 * sound.size * 2  # of 16-bit sound, header and all


def test_evaluate_agrees_with_score_sound(speech_file, tmp_path):
    evaluate([speech_file], tmp_path / "scores.tsv", kbps=3.0)
    table = load_table(tmp_path / "scores.tsv").set_index("metric")
    sound, _ = soundfile.read(speech_file, dtype="float32")
    codec = load_codec("bundled", 3.0)
    expected = score_sound(sound, codec.decode(codec.encode(sound))[: len(sound)], RATE)
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-4)
    assert set(table["kbps"]) == {3}
    assert set(table["sound"]) == {speech_file.name}


def test_codes_of_other_weights_are_refused(compressed, tmp_path):
    arrays = load_arrays(compressed)
    save_arrays(arrays.assign_attrs(codec_revision="0" * 16), tmp_path / "other.nc")
    save_arrays(arrays.rename(packed="other"), tmp_path / "no_codes.nc")
    for name, message in [("other.nc", "other weights"), ("no_codes.nc", "has no packed")]:
        with pytest.raises(GibletError, match=message):
            decompress(tmp_path / name, tmp_path / "back.wav")
    assert not (tmp_path / "back.wav").exists()


def test_on_the_command_line(speech_file, tmp_path, capsys):
    codes = tmp_path / "codes.nc"
    options = ["--sound", str(speech_file), "--codes", str(codes), "--kbps", "1.5"]
    assert main(["codec", "compress", *options]) == 0
    assert load_arrays(codes).attrs["n_codebooks"] == 2
    assert main(["codec", "compress", *options[:-1], "7"]) == 1
    assert capsys.readouterr().err.startswith("giblet codec compress: codec bundled: no 7 kbps")


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
    coder = load_codec("bundled", 6.0)
    codes = {
        "codec": "bundled",
        "codec_revision": coder.revision,
        "bandwidth_kbps": 6.0,
        "n_codebooks": 8,
        "n_frames": 75,
        "n_samples": 75 * coder.hop_length,
        "packed": np.zeros(75 * 8 * bits_for(coder.codebook_size) // 8, np.uint8),
    }
    words = ["codec", "decompress", "--codes", str(tmp_path / "x.nc")]
    for changed, ended in (({}, 0), (spoilt, 1)):
        attrs = codes | changed
        packed = {"packed": ("byte", attrs.pop("packed"))}
        xr.Dataset(packed, attrs=attrs).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
        assert main([*words, "--sound", str(tmp_path / f"{ended}.wav")]) == ended
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "1.wav").exists()


def test_evaluating_no_sounds_is_one_line(tmp_path, capsys):
    words = ["codec", "evaluate", "--scores", str(tmp_path / "scores.tsv"), "--sounds"]
    assert main(words) == 1
    assert "name at least one after --sounds" in capsys.readouterr().err
