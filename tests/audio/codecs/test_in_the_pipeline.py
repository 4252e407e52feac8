"""Codecs of all frame rates through the processor: TRs, files' facts, and back to sound."""

from copy import deepcopy

import numpy as np
import pytest
import soundfile
import torch

from giblet.audio.codecs.encodec import Encodec
from giblet.audio.codecs.encodec_chunks import EncodecChunks
from giblet.audio.codecs.mimi import Mimi
from giblet.audio.codecs.xcodec import Xcodec
from giblet.audio.framing import ungroup_trs
from giblet.audio.processor import AudioProcessor

SMALL = {"codebook_size": 64, "hidden_size": 16}
CASES = {  # codec, framing at TR 1.5 s, frames in a TR
    "encodec_24khz": (Encodec, "tr_synchronous", 112),
    "encodec_32khz": (Encodec, "tr_synchronous", 75),
    "encodec_48khz": (EncodecChunks, "tr_synchronous", 227),
    "mimi": (Mimi, "native", 19),
    "xcodec": (Xcodec, "tr_synchronous", 75),
}


def make_model(name, random_encodec, random_mimi, random_xcodec):
    if name == "mimi":
        return random_mimi()
    if name == "xcodec":
        return random_xcodec
    fields = {
        "encodec_24khz": {"target_bandwidths": [0.9]},
        "encodec_32khz": {
            "target_bandwidths": [0.6],
            "sampling_rate": 32000,
            "upsampling_ratios": [8, 5, 4, 4],
            "use_causal_conv": False,
        },
        "encodec_48khz": {
            "target_bandwidths": [1.8],
            "sampling_rate": 48000,
            "audio_channels": 2,
            "use_causal_conv": False,
            "norm_type": "time_group_norm",
            "normalize": True,
            "chunk_length_s": 1.0,
            "overlap": 0.01,
        },
    }
    return random_encodec(**fields[name] | SMALL)


@pytest.mark.parametrize("name", CASES)
def test_a_film_goes_there_and_back(
    name, random_encodec, random_mimi, random_xcodec, noise_of, tmp_path
):
    kind, framing, frames_per_tr = CASES[name]
    model = make_model(name, random_encodec, random_mimi, random_xcodec)
    n_codebooks, kbps = max(kind.bandwidths(model).items())
    codec = kind(model, name, "0", kbps)
    sound = noise_of(round(6.3 * codec.sample_rate))
    soundfile.write(tmp_path / "film.wav", sound, codec.sample_rate, subtype="FLOAT")
    processor = AudioProcessor(codec=codec, t_r=1.5)
    assert (processor.clock.framing, processor.clock.frames_per_tr) == (framing, frames_per_tr)
    assert abs(processor.clock.bend) < 0.01
    features, _table = processor.audio_to_features(tmp_path / "film.wav")
    assert features.shape == (4, n_codebooks, frames_per_tr)
    if processor.clock.bend == 0:
        stream = ungroup_trs(features, processor.clock)
        np.testing.assert_array_equal(stream, codec.encode(sound)[:, : stream.shape[1]])
    heard = processor.features_to_audio(features, attrs=processor.facts())
    assert heard.shape == (6 * codec.sample_rate,)
    assert np.isfinite(heard).all()
    assert heard.std() > 0
    few = processor.features_to_audio(features[:, :1], attrs=processor.facts())
    assert few.shape == heard.shape
    regressors, _rate = processor.regressors(features)
    assert regressors.shape[1] == 2 * codec.codebook_dim


def test_exact_codes_are_those_of_double_precision(random_encodec, noise_of, tmp_path):
    model = random_encodec(target_bandwidths=[0.9], **SMALL).float()
    words = model.quantizer.layers[0].codebook.embed
    words[1::2] = torch.nextafter(words[::2], torch.tensor(torch.inf))  # ties in single precision
    sound = noise_of(round(6.5 * 24000))
    soundfile.write(tmp_path / "film.wav", sound, 24000, subtype="FLOAT")
    with torch.inference_mode():
        whole = torch.from_numpy(sound)[None, None].double()
        expected = deepcopy(model).double().encode(whole, bandwidth=0.9).audio_codes[0, 0]
    codec = Encodec(model, "near ties", "0", 0.9)
    single, exact = (
        AudioProcessor(codec=codec, t_r=1.6, exact_codes=exact_codes)
        for exact_codes in (False, True)
    )
    features, _table = exact.audio_to_features(tmp_path / "film.wav")
    np.testing.assert_array_equal(ungroup_trs(features, exact.clock), expected[:, : 4 * 120])
    assert (single.audio_to_features(tmp_path / "film.wav")[0] != features).any()
    assert next(model.parameters()).dtype == torch.float32
    assert exact.facts() == single.facts()
