"""Codes are those of transformers' EncodecModel, at the bandwidth that was asked for."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, EncodecConfig, EncodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.encodec import Encodec
from giblet.audio.metrics.distances import si_sdr_db, stoi
from giblet.errors import GibletError

TINY = {"num_filters": 2, "hidden_size": 8, "num_lstm_layers": 1}


@pytest.fixture(scope="module")
def bundled():
    return load_codec("bundled", 6.0)


@pytest.fixture(scope="module")
def official_geometry(tmp_path_factory, random_encodec):
    """Folder of a codec with random weights and all else as facebook/encodec_24khz has it."""
    folder = tmp_path_factory.mktemp("codecs") / "official_geometry"
    random_encodec().float().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(5 * 24000 + 77, seed=4).astype(np.float32)


@torch.no_grad()
def transformers_codes(model, waveform, bandwidth):
    sound = torch.from_numpy(waveform)[None, None]
    return model.encode(sound, bandwidth=bandwidth).audio_codes[0, 0].numpy()


def save(folder, **overrides):
    EncodecModel(EncodecConfig(**{**TINY, **overrides})).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("bandwidth", "n_codebooks"), [(1.5, 2), (3.0, 4), (6.0, 8)])
def test_bandwidth_sets_the_codebooks_of_the_bundled_codec(bundled, noise, bandwidth, n_codebooks):
    codec = load_codec("bundled", bandwidth)
    codes = codec.encode(noise[:48000])
    assert codec.n_codebooks == n_codebooks
    assert codes.shape == (n_codebooks, 150)
    np.testing.assert_array_equal(codes, bundled.encode(noise[:48000])[:n_codebooks])


@pytest.mark.parametrize(
    ("bandwidth", "n_codebooks"), [(1.5, 2), (3.0, 4), (6.0, 8), (12.0, 16), (24.0, 32)]
)
def test_bandwidth_sets_the_codebooks_of_the_official_geometry(
    official_geometry, noise, bandwidth, n_codebooks
):
    codec = load_codec(official_geometry, bandwidth)
    codes = codec.encode(noise[:48000])
    assert codes.shape == (n_codebooks, 150)
    highest = load_codec(official_geometry, 24.0).encode(noise[:48000])
    np.testing.assert_array_equal(codes, highest[:n_codebooks])  # a prefix: encode once
    assert np.unique(highest[0]).size > 20


def test_without_a_bandwidth_transformers_would_take_the_lowest(official_geometry, noise):
    codec = load_codec(official_geometry)
    assert len(transformers_codes(codec.model, noise[:4800], None)) == 2
    assert len(codec.encode(noise[:4800])) == 8


@pytest.mark.parametrize("seconds", [0.4, 1.0, 20.0])
def test_codes_and_sound_equal_transformers(official_geometry, noise, seconds):
    codec = replace(load_codec(official_geometry, 6.0), block_seconds=seconds)
    codes = codec.encode(noise)
    expected = transformers_codes(codec.model, noise, 6.0)
    assert codes.shape == expected.shape == (8, 376)
    assert (codes == expected).mean() > 0.97  # single precision: near ties may fall otherwise
    with torch.no_grad():
        whole = codec.model.decode(torch.from_numpy(codes.astype(int))[None, None], [None])
    np.testing.assert_allclose(codec.decode(codes), whole.audio_values[0, 0], rtol=0, atol=1e-5)


def test_one_thread_or_two_give_the_same_bits(official_geometry, noise):
    """Two threads work on two stages, never on one sum."""
    codec = replace(load_codec(official_geometry, 6.0), block_seconds=0.4)
    n_threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            codes = codec.encode(noise)
            results.append((codes, codec.decode(codes)))
            assert torch.get_num_threads() == n  # as it was found
    finally:
        torch.set_num_threads(n_threads)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


ENCODE = """
import sys
import numpy as np
import torch
from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
torch.set_num_threads(int(sys.argv[1]))
sound = read_sound(sys.argv[2], 24000)[: 3 * 24000]
sys.stdout.buffer.write(load_codec("bundled", 6.0).encode(sound).tobytes())
"""


@pytest.mark.slow
def test_real_sound_has_the_same_codes_with_one_thread_or_two(voice_file):
    """Of torch, OpenMP and MKL alike: the bundled codec in processes of their own."""
    found = []
    for n in ("1", "2"):
        command = [sys.executable, "-c", ENCODE, n, voice_file]
        environment = os.environ | {"OMP_NUM_THREADS": n, "MKL_NUM_THREADS": n}
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        found.append(np.frombuffer(done.stdout, np.int32))
    assert np.unique(found[0]).size > 100
    np.testing.assert_array_equal(*found)


def test_an_error_within_a_stage_reaches_the_caller(official_geometry, noise):
    """A generator that fails in the other thread must not hang or be lost."""
    codec = replace(load_codec(official_geometry, 6.0), block_seconds=0.4)

    def pieces():
        yield noise
        raise OSError("the file ended")

    with pytest.raises(OSError, match="the file ended"):
        codec.encode(pieces())


def test_decoded_blocks_are_the_decoded_sound(bundled, clear_speech):
    codes = bundled.encode(clear_speech)
    blocks = list(replace(bundled, block_seconds=1.0).decode_blocks(codes))
    assert len(blocks) == 6
    np.testing.assert_array_equal(np.concatenate(blocks), bundled.decode(codes))


@pytest.mark.slow
def test_in_single_precision_only_near_ties_differ(random_encodec, rng):
    """20 s in the official configuration but for its width; oracle: transformers in one call."""
    model = random_encodec(started=True, num_filters=8).float()
    codec = Encodec(model, "random", "0", 6.0)
    sound = 0.2 * rng.standard_normal(20 * 24000 + 5, dtype=np.float32)
    codes, expected = codec.encode(sound), transformers_codes(model, sound, 6.0)
    assert (codes == expected).mean() >= 0.9995
    cut = [transformers_codes(model, piece, 6.0) for piece in np.array_split(sound, 10)]
    assert (np.concatenate(cut, axis=1)[:, :1500] == expected[:, :1500]).mean() < 0.9

    with torch.no_grad():
        latents = model.encoder(torch.from_numpy(sound)[None, None])[0].T.numpy()
    for frame in np.flatnonzero((codes != expected).any(axis=0)):
        level = int((codes != expected)[:, frame].argmax())  # later codebooks follow the first
        left = latents[frame].astype(float)
        left = left - codec.codebooks()[range(level), codes[:level, frame]].sum(axis=0)
        words = codec.codebooks()[level, [codes[level, frame], expected[level, frame]]]
        distances = np.linalg.norm(left - words, axis=1)
        assert abs(np.diff(distances)) < 1e-4 * np.linalg.norm(latents[frame])


def test_cut_codes_would_not_equal_them(official_geometry, noise):
    codec = load_codec(official_geometry, 6.0)
    blocks = [transformers_codes(codec.model, b, 6.0) for b in np.split(noise, [24000, 48000])]
    expected = transformers_codes(codec.model, noise, 6.0)
    assert (np.concatenate(blocks, axis=1) == expected).mean() < 0.8


def test_real_speech_coded_as_transformers_does(official_geometry, clear_speech):
    codec = load_codec(official_geometry, 6.0)
    expected = transformers_codes(codec.model, clear_speech, 6.0)
    assert (codec.encode(clear_speech) == expected).mean() > 0.95


@pytest.mark.parametrize("which", ["bundled", "official_geometry"])
def test_autocast_around_a_codec_changes_nothing(request, noise, which):
    codec = request.getfixturevalue(which)
    codec = load_codec(codec, 6.0) if which == "official_geometry" else codec
    plain = codec.encode(noise[:24000])
    with torch.autocast("cpu", torch.bfloat16):
        codes, sound = codec.encode(noise[:24000]), codec.decode(plain)
        latents, codebooks = codec.latents(plain), codec.codebooks()
    assert np.array_equal(codes, plain)
    assert np.array_equal(sound, codec.decode(plain))
    assert np.array_equal(latents, codec.latents(plain))
    assert np.array_equal(codebooks, codec.codebooks())


def test_sound_may_come_in_blocks_of_any_length(bundled, noise):
    blocks = np.split(noise, [1, 1000, 50000, 50001])
    np.testing.assert_array_equal(bundled.encode(iter(blocks)), bundled.encode(noise))


def test_codes_are_int32_labels_in_range(bundled, clear_speech):
    codes = bundled.encode(clear_speech)
    assert codes.dtype == np.int32
    assert codes.shape == (8, 450)
    assert codes.min() >= 0
    assert codes.max() < bundled.codebook_size == 1024


def test_every_codebook_of_the_bundled_codec_is_used(bundled, clear_speech):
    assert all(len(np.unique(row)) > 50 for row in bundled.encode(clear_speech))


def test_the_bundled_codec_keeps_speech(bundled, clear_speech):
    sound = bundled.decode(bundled.encode(clear_speech))
    assert sound.dtype == np.float32
    assert sound.shape == clear_speech.shape
    assert stoi(clear_speech, sound, 24000, False) > 0.85
    assert si_sdr_db(clear_speech, sound) > 5.5


def test_more_bandwidth_is_closer_to_the_sound(bundled, clear_speech):
    codes = bundled.encode(clear_speech)
    scores = [si_sdr_db(clear_speech, bundled.decode(codes[:n])) for n in (2, 4, 8)]
    assert scores == sorted(scores)


def test_the_last_frame_is_padded_not_dropped(bundled, noise):
    for n_samples, n_frames in [(1, 1), (320, 1), (321, 2), (24000, 75), (24001, 76)]:
        codes = bundled.encode(noise[:n_samples])
        assert codes.shape == (8, n_frames)
        assert bundled.decode(codes).shape == (n_frames * 320,)


def test_latents_are_the_sum_of_the_codewords(bundled, rng):
    codes = rng.integers(0, 1024, (8, 50))
    codebooks = bundled.codebooks()  # (8, 1024, 128)
    expected = sum(book[row] for book, row in zip(codebooks, codes, strict=True))
    np.testing.assert_allclose(bundled.latents(codes), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        (np.zeros((8, 10), dtype=np.float32), TypeError, "a code is a label"),
        (np.full((8, 10), 1024), ValueError, "1023"),
        (np.full((8, 10), -2), ValueError, "1023"),
        (np.full((8, 10), -1), ValueError, "no frame"),
        (np.zeros((3, 8, 10), dtype=int), ValueError, "n_codebooks, n_frames"),
        (np.zeros((8, 0), dtype=int), ValueError, "n_codebooks, n_frames"),
        (np.zeros((9, 10), dtype=int), ValueError, "9 codebooks, this codec has 8"),
    ],
)
def test_what_is_no_stream_of_codes_is_refused(bundled, codes, error, message):
    with pytest.raises(error, match=message):
        bundled.decode(codes)


@pytest.mark.parametrize(
    ("waveform", "error"),
    [
        (np.zeros(0, dtype=np.float32), ValueError),
        (np.full(400, np.nan, dtype=np.float32), ValueError),
        (np.zeros((2, 400), dtype=np.float32), ValueError),
        (np.zeros(400, dtype=np.int16), TypeError),
        (iter([]), ValueError),
    ],
)
def test_what_is_no_sound_is_refused(bundled, waveform, error):
    with pytest.raises(error):
        bundled.encode(waveform)


def test_a_saved_codec_is_loaded_by_the_same_code(bundled, clear_speech, tmp_path):
    bundled.model.save_pretrained(tmp_path / "copy")
    copy = load_codec(str(tmp_path / "copy"), 6.0)
    np.testing.assert_array_equal(copy.encode(clear_speech), bundled.encode(clear_speech))
    assert (copy.sample_rate, copy.hop_length, copy.frame_rate) == (24000, 320, 75.0)


def test_the_revision_names_the_weights(tmp_path):
    folders = [save(tmp_path / name) for name in ("one", "another")]
    shutil.copytree(folders[0], tmp_path / "copy")
    one, another, copy = (load_codec(f, 6.0).revision for f in [*folders, str(tmp_path / "copy")])
    assert one == copy != another


@pytest.mark.parametrize(
    "overrides",
    [
        {"norm_type": "time_group_norm"},
        {"normalize": True},
        {"audio_channels": 2},
        {"chunk_length_s": 1.0, "overlap": 0.01},
    ],
)
def test_a_codec_that_cannot_be_streamed_is_refused(tmp_path, overrides):
    with pytest.raises(GibletError, match=r"neither mono in|in chunks without scales"):
        load_codec(save(tmp_path / "codec", **overrides), 6.0)


@pytest.mark.parametrize(
    ("wanted", "taken", "logged"),
    [
        (
            (24.0,),
            (8, 6.0),
            "codec bundled: 24 kbps is not offered (0.75, 1.5, 2.25, 3, 3.75, 4.5, ",
        ),
        ((2.6,), (3, 2.25), "2.6 kbps is not offered"),
        ((1.0,), (1, 0.75), "taken: 1 codebooks, 0.75 kbps"),
        ((6.01,), (8, 6.0), ""),
        ((6.0, 3), (3, 2.25), ""),  # the number of codebooks says it
        ((6.0, 99), (8, 6.0), "99 codebooks is not offered (1, 2, 3, 4, 5, 6, 7, 8); taken: 8"),
    ],
)
def test_the_nearest_bandwidth_is_taken_and_logged(wanted, taken, logged, caplog):
    load_codec.cache_clear()
    codec = load_codec("bundled", *wanted)
    assert (codec.n_codebooks, codec.bandwidth_kbps) == taken
    assert logged in caplog.text
    assert bool(caplog.text) == bool(logged)


def test_encodec_offers_its_own_bandwidths(official_geometry, caplog):
    codec = load_codec(official_geometry, 4.0)
    assert (codec.n_codebooks, codec.bandwidth_kbps) == (4, 3.0)
    assert "4 kbps is not offered (1.5, 3, 6, 12, 24); taken: 4 codebooks, 3 kbps" in caplog.text
    assert load_codec(official_geometry, 6.0, codebooks=15).bandwidth_kbps == 12.0


@pytest.mark.parametrize("wanted", [(0.0,), (-6.0,), (np.nan,), (np.inf,), (6.0, 0), (6.0, -1)])
def test_a_bandwidth_that_cannot_be_is_refused(wanted):
    with pytest.raises(GibletError, match="cannot be: give a positive number"):
        load_codec("bundled", *wanted)


def test_another_model_is_refused(tmp_path):
    BertModel(
        BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    ).save_pretrained(tmp_path)
    with pytest.raises(
        GibletError, match="a bert model, none of encodec, dac, mimi, xcodec, giblet_mdct"
    ):
        load_codec(str(tmp_path), 6.0)


def test_a_type_with_a_typo_is_refused_with_the_nearest(tmp_path):
    folder = save(tmp_path / "codec")
    (tmp_path / "codec" / "config.json").write_text('{"model_type": "encodek"}')
    with pytest.raises(GibletError, match=r"did you mean encodec\?\. Give the folder") as raised:
        load_codec(folder, 6.0)
    assert "\n" not in str(raised.value)


def test_missing_weights_are_not_made_up(tmp_path):
    folder = save(tmp_path / "codec")
    weights = load_file(tmp_path / "codec" / "model.safetensors")
    del weights["encoder.layers.0.conv.bias"]
    save_file(weights, tmp_path / "codec" / "model.safetensors", {"format": "pt"})
    with pytest.raises(GibletError, match=r"weights are missing: encoder\.layers\.0"):
        load_codec(folder, 6.0)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("config.json", b"{"),
        ("config.json", b"{}"),
        ("config.json", b'{"model_type": ["encodec"]}'),
    ],
)
def test_a_damaged_folder_is_one_clear_line(tmp_path, file, content):
    folder = save(tmp_path / "codec")
    (tmp_path / "codec" / file).unlink()
    if content is not None:
        (tmp_path / "codec" / file).write_bytes(content)
    with pytest.raises(GibletError, match="no codec can be read from it") as raised:
        load_codec(folder, 6.0)
    assert folder in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_misspelt_codec_is_one_line_with_the_nearest(tmp_path):
    save(tmp_path / "mine")
    for name, nearest in [
        ("bundeld", "bundled"),
        ("facebook/encodec_24kh", "facebook/encodec_24khz"),
        (f"descript/dac_24kz@{'0' * 40}", "descript/dac_24khz"),
        (str(tmp_path / "minne"), str(tmp_path / "mine")),
    ]:
        with pytest.raises(GibletError, match="no such folder") as raised:
            load_codec(name)
        assert str(raised.value).endswith(f"did you mean {nearest}?")
        assert "\n" not in str(raised.value)
    with pytest.raises(GibletError, match="no such folder") as raised:
        load_codec(f"facebook/encodec_24khz@{'0' * 40}")
    assert "did you mean" not in str(raised.value)  # it is right


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w, c: w.write_bytes(w.read_bytes()[:5000]), "deserializing header"),
        (lambda w, c: w.rename(w.with_name("pytorch_model.bin")), "no weights in .* safetensors"),
        (
            lambda w, c: change(c, hidden_size=16),
            r"is \(.*8.*\), by its config.json \(.*16",
        ),
        (lambda w, c: change(c, sampling_rate=0), "a sample rate of 0"),
        (lambda w, c: change(c, sampling_rate="fast"), "a sample rate of 'fast'"),
        (lambda w, c: change(c, target_bandwidths=[]), "no codec can be read"),
    ],
)
def test_half_a_codec_is_one_line_that_says_what_is_there(tmp_path, spoil, message):
    folder = save(tmp_path / "codec")
    weights, config = tmp_path / "codec" / "model.safetensors", tmp_path / "codec" / "config.json"
    spoil(weights, config)
    with pytest.raises(GibletError, match=message) as raised:
        load_codec(folder)
    there = ", ".join(sorted(os.listdir(folder)))
    assert f"It holds {there}: copy or download it again" in str(raised.value)
    assert "\n" not in str(raised.value)


def change(config, **fields):
    config.write_text(json.dumps(json.loads(config.read_text()) | fields))


def test_stereo_is_refused_with_the_remedy(bundled):
    with pytest.raises(ValueError, match="average its channels first"):
        bundled.encode(np.zeros((2, 400), dtype=np.float32))
