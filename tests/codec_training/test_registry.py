"""Every architecture: trained, saved, loaded, coded, decoded; in the pipeline and in files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from giblet.audio.code_files import from_bytes
from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.hierarchical import HierarchicalModel
from giblet.audio.codecs.registry import CODEC_TYPES
from giblet.audio.processor import AudioProcessor
from giblet.codec_training.recipe import CodecSettings, parse_recipe
from giblet.codec_training.registry import NETWORKS, build_network, load_network
from giblet.codec_training.trainer import fit_codec
from giblet.commands.codec import compress, decompress
from giblet.io.checksums import write_sums
from giblet.io.tables import load_yaml

RATE = 24000
RECIPE = Path(__file__).parents[2] / "config" / "codec" / "hierarchical.yaml"


@pytest.fixture(scope="module")
def speech_file(voice_file, tmp_path_factory):
    """2 s of one clear voice."""
    file = tmp_path_factory.mktemp("speech") / "speech.wav"
    sound = soundfile.read(voice_file, start=2 * RATE, stop=4 * RATE, dtype="float32")[0]
    soundfile.write(file, sound, RATE, subtype="FLOAT")
    return file


SLOW = ("encodec", "snake")
PARAMETERS = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in NETWORKS]


@pytest.fixture(scope="module", params=PARAMETERS)
def trained(request, speech_file, make_network, tmp_path_factory):
    """(architecture, network, its folder) after four steps."""
    settings = CodecSettings(
        network=make_network(request.param).settings.model_dump(),
        data={
            "kind_weights": {"speech": 1.0},
            "crop_seconds": 0.25,
            "batch_size": 2,
            "validation_seconds": 0.5,
            "validation_crops": 1,
        },
        schedule={"steps": 4, "steps_without_codebooks": 2, "check_every": 4, "bfloat16": False},
        losses={"stft": 1.0},
    )
    sounds = {"speech": [soundfile.read(speech_file, dtype="float32")[0]]}
    folder = tmp_path_factory.mktemp(request.param)
    network = fit_codec(sounds, sounds, settings, str(folder / "logs"))
    codec = folder / "codec"
    codec.mkdir()
    network.save(codec, half=True)
    write_sums(codec, [file.name for file in codec.iterdir()])
    return request.param, network, codec


def test_every_architecture_is_saved_as_a_kind_that_can_be_loaded():
    saved_as = [kind.architecture for kind in CODEC_TYPES.values() if kind.architecture]
    assert sorted(saved_as) == sorted(NETWORKS)


def test_trained_saved_and_loaded_it_codes_as_the_network_does(trained, speech_file):
    architecture, network, folder = trained
    codec = load_codec(str(folder), 1000.0)  # all codebooks
    kind = next(kind for kind in CODEC_TYPES.values() if kind.architecture == architecture)
    assert type(codec) is kind.codec
    sound = soundfile.read(speech_file, dtype="float32")[0][:RATE]
    codes = codec.encode(sound)
    assert codes.shape == (codec.n_codebooks, -(-RATE // codec.hop_length))
    again = load_network(folder)
    with torch.no_grad():
        _, expected, _ = again.quantize(again.encode(torch.from_numpy(sound)[None, None]))
    if architecture == "hierarchical":
        rows = again.model.rows([level[0].T for level in expected]).numpy()
    else:
        rows = expected[0].T.numpy()
    # the last frames of EnCodec are padded in another way
    assert (codes[:, :-2] == rows[:, : codes.shape[1] - 2]).mean() > 0.97
    heard, whole = codec.decode(codes), network(torch.from_numpy(sound)[None, None])
    assert heard.shape == (codes.shape[1] * codec.hop_length,)
    assert np.corrcoef(heard[:20000], whole[0, 0, :20000].detach())[0, 1] > 0.9  # half precision


@pytest.mark.parametrize("codebooks", [None, 2])
def test_the_pipeline_takes_it(trained, speech_file, codebooks):
    processor = AudioProcessor(codec=str(trained[2]), codebooks=codebooks, t_r=0.5)
    features, _table = processor.audio_to_features(speech_file)
    assert features.shape[:2] == (4, processor.codec.n_codebooks)
    sound = processor.features_to_audio(features, attrs=processor.facts())
    assert sound.shape == (2 * RATE,)
    assert np.isfinite(sound).all()
    latents, _rate = processor.regressors(features)
    assert latents.shape[1] == 2 * processor.codec.codebook_dim


def test_it_compresses_to_a_file_and_back(trained, speech_file, tmp_path):
    folder = trained[2]
    compress(speech_file, tmp_path / "a.codes", codec=str(folder))
    decompress(tmp_path / "a.codes", tmp_path / "a.wav")
    codec, sound = load_codec(str(folder)), soundfile.read(speech_file, dtype="float32")[0]
    expected = codec.decode(codec.encode(sound))[: len(sound)]
    heard, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(heard, expected.clip(-1, 1), atol=1 / 32767)


@pytest.mark.slow
def test_the_hierarchical_recipe_is_small_and_450_to_1_on_disk(voice_file, tmp_path, caplog):
    """Untrained, and narrower while it codes: the size of a file depends on neither."""
    settings = parse_recipe(load_yaml(RECIPE), str(RECIPE)).network
    weights = HierarchicalModel(settings.config()).parameters()
    assert sum(weight.numel() for weight in weights) <= 4_500_000
    network = build_network(settings.model_copy(update={"num_filters": 2, "max_filters": 8}))
    for quantizer, dim in zip(network.quantizers, network.model.dims, strict=True):
        quantizer.set_codebooks([torch.zeros(settings.codebook_size, dim)])
    (tmp_path / "codec").mkdir()
    network.save(tmp_path / "codec", half=True)
    sound = soundfile.read(voice_file, dtype="float32")[0]
    sound = np.tile(sound, -(-30 * RATE // len(sound)))[: 30 * RATE]
    soundfile.write(tmp_path / "speech.wav", sound, RATE)
    compress(tmp_path / "speech.wav", tmp_path / "a.codes", codec=str(tmp_path / "codec"))
    assert "6 kbps is not offered" in caplog.text
    n_bytes = (tmp_path / "a.codes").stat().st_size
    assert 2 * 30 * RATE / n_bytes >= 450
    codes = from_bytes((tmp_path / "a.codes").read_bytes(), "a.codes").codes
    assert codes.shape == (7, -(-30 * RATE // 2048))
    decompress(tmp_path / "a.codes", tmp_path / "a.wav")
    assert soundfile.info(tmp_path / "a.wav").frames == 30 * RATE
