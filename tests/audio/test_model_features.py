"""Features of audio models. Oracle: transformers' models, called by hand; models are random."""

import tracemalloc

import numpy as np
import pytest
import torch

from giblet.audio.files import write_sound
from giblet.audio.model_features import SoundModel, mean_in_bins
from giblet.commands.feature_spaces import sound_features
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.modalities import feature_names
from giblet.io.arrays import load_arrays

SMALL = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
CONV = {"conv_dim": (8, 8), "conv_stride": (5, 64), "conv_kernel": (10, 64)}  # 320 samples
CONV |= {"num_feat_extract_layers": 2, "intermediate_size": 32, "num_conv_pos_embeddings": 8}


def saved(folder, model, processor):
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def wave_model(folder, name):
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        **SMALL, **CONV, num_conv_pos_embedding_groups=2
    )
    processor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    return saved(folder, getattr(transformers, f"{name}Model")(config), processor)


@pytest.fixture(scope="module")
def wav2vec(tmp_path_factory):
    return wave_model(tmp_path_factory.mktemp("models") / "w", "Wav2Vec2")


@pytest.fixture
def sound(rng):
    return rng.standard_normal(16000 * 7).astype(np.float32)


def blocks(sound, seconds):
    return np.split(sound, np.arange(int(16000 * seconds), len(sound), int(16000 * seconds)))


def all_of(model, pieces):
    return np.concatenate(list(model.features(pieces)))


def test_features_do_not_depend_on_blocks(wav2vec, sound):
    model = SoundModel(wav2vec, [0.5, 1.0], step_seconds=2, context_seconds=1)
    features = all_of(model, [sound])
    assert (model.rate_hz, *features.shape) == (50, 350, 32)
    for seconds in (0.3, 5):
        np.testing.assert_allclose(all_of(model, blocks(sound, seconds)), features, atol=1e-5)


def test_no_more_of_the_sound_is_held_than_a_window(wav2vec, rng):
    """Memory does not grow with the sound: what is read and not yet used is a step and context."""
    model = SoundModel(wav2vec, [1], step_seconds=2, context_seconds=1)
    read, ahead = 0, []

    def seconds():
        nonlocal read
        for _ in range(30):
            read += 1
            yield 0.1 * rng.standard_normal(16000).astype(np.float32)

    done = 0
    for piece in model.features(seconds()):
        ahead.append(read - done / 50)
        done += len(piece)
    assert done == 30 * 50
    assert max(ahead) <= 2 + 1 + 2  # a step, its context, and blocks of a second begun


def test_features_are_the_models_hidden_states(wav2vec, sound):
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    network = Wav2Vec2Model.from_pretrained(wav2vec).eval()
    window = sound[16000 : 16000 * 5]  # the second step, 2 to 4 s, with 1 s on either side
    values = Wav2Vec2FeatureExtractor.from_pretrained(wav2vec)(
        window, sampling_rate=16000, return_tensors="pt"
    )["input_values"]
    with torch.no_grad():
        states = network(values, output_hidden_states=True).hidden_states
    expected = torch.cat([states[1][0, 50:150], states[4][0, 50:150]], dim=1)
    features = all_of(SoundModel(wav2vec, [1, 4], 2, 1), [sound])
    np.testing.assert_allclose(features[100:200], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["Hubert", "WavLM"])
def test_other_waveform_models(name, tmp_path, sound):
    model = SoundModel(wave_model(tmp_path / "m", name), "all", 2, 0.5)
    assert all_of(model, [sound]).shape == (350, 5 * 16)


def test_squeezed_layers_have_their_own_rate(tmp_path, sound):
    """SEW's layers run at half the rate of its convolutions: 25 Hz. Oracle: the model by hand."""
    from transformers import SEWConfig, SEWModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    network = SEWModel(SEWConfig(**SMALL, **CONV, num_conv_pos_embedding_groups=2)).eval()
    folder = saved(tmp_path / "m", network, Wav2Vec2FeatureExtractor(do_normalize=False))
    model = SoundModel(folder, [2], step_seconds=2, context_seconds=1)
    features = all_of(model, [sound])
    assert (model.rate_hz, *features.shape) == (25, 175, 16)
    with torch.no_grad():
        states = network(
            torch.from_numpy(sound[None, 16000 : 16000 * 5]), output_hidden_states=True
        )
    np.testing.assert_allclose(features[50:100], states.hidden_states[2][0, 25:75], atol=1e-5)


@pytest.mark.parametrize("layers", [[0.0, 0.5, 1.0], [0, 2, 4], "all"])
def test_blocks_of_5_and_30_seconds_give_the_same(wav2vec, rng, layers):
    sound = 0.1 * rng.standard_normal(16000 * 31 + 137).astype(np.float32)  # no whole frame
    model = SoundModel(wav2vec, layers)
    short, long = (all_of(model, blocks(sound, seconds)) for seconds in (5, 30))
    assert len(short) == -(-len(sound) // 320)
    np.testing.assert_allclose(short, long, atol=1e-4)


def test_whispers_encoder(tmp_path, sound):
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=80,
        vocab_size=50, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    folder = saved(tmp_path / "m", WhisperModel(config), WhisperFeatureExtractor())
    assert all_of(SoundModel(folder, [0.5], 5, 1), [sound]).shape == (350, 16)
    with pytest.raises(GibletError, match="longer than the 30 s"):
        SoundModel(folder, [0.5], 30, 5)


def test_one_vector_a_window(tmp_path, sound):
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(**SMALL, intermediate_size=16, max_length=200, num_mel_bins=128)
    folder = saved(tmp_path / "m", ASTModel(config), ASTFeatureExtractor(max_length=200))
    model = SoundModel(folder, [2], step_seconds=1, context_seconds=0.5)
    assert (model.rate_hz, *all_of(model, [sound]).shape) == (1, 7, 16)


def test_a_codecs_latents(tmp_path, sound):
    from transformers import EncodecConfig, EncodecFeatureExtractor, EncodecModel

    config = EncodecConfig(
        num_filters=4, hidden_size=8, codebook_dim=8, upsampling_ratios=[8, 5, 4, 2]
    )
    folder = saved(tmp_path / "m", EncodecModel(config), EncodecFeatureExtractor())
    model = SoundModel(folder, [0], step_seconds=2, context_seconds=1)
    assert (model.sample_rate, model.rate_hz) == (24000, 75)
    assert all_of(model, [sound[:24000]]).shape == (75, 8)


def test_bins_are_means_of_the_frames_in_them():
    frames = np.arange(10.0)[:, None]
    bins = mean_in_bins(np.split(frames, [1, 2, 9]), rate_hz=4, bin_seconds=1, n_bins=2)
    np.testing.assert_array_equal(bins[:, 0], [1.5, 5.5])
    few = mean_in_bins([frames], rate_hz=0.5, bin_seconds=1, n_bins=6)  # middles at 1, 3, 5 s
    np.testing.assert_array_equal(few[:, 0], [0, 0, 0, 1, 1, 2])


def test_memory_of_bins_grows_as_their_number():
    tracemalloc.start()
    frames = np.arange(30_000.0)[:, None]
    bins = mean_in_bins([frames], rate_hz=0.5, bin_seconds=1, n_bins=60_000)  # half are empty
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(bins[1::2, 0], frames[:, 0])
    assert peak < 60_000 * 100  # bytes; 29 GB with all pairs of bins


def test_bad_models_in_one_line(wav2vec, tmp_path):
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(vocab_size=9, intermediate_size=8, **SMALL)).save_pretrained(tmp_path)
    with pytest.raises(GibletError, match=r"not an audio model \(bert; known are wav2vec2"):
        SoundModel(str(tmp_path))
    with pytest.raises(GibletError, match=r"no layer 5\. The model has layers 0 to 4"):
        SoundModel(wav2vec, [5])
    with pytest.raises(GibletError, match=r"no layer 1\.5"):
        SoundModel(wav2vec, [1.5])
    with pytest.raises(GibletError, match="no such folder, not in the Hugging Face cache"):
        SoundModel("owner/nothing")


def test_from_a_sound_to_spaces(wav2vec, sound, tmp_path):
    write_sound(tmp_path / "film.wav", 0.1 * sound, 16000)
    model = {"name": wav2vec, "layers": [0.5, 4], "step_seconds": 2, "context_seconds": 1}
    config = parse_config({"t_r": 1.5, "sound_model": model})
    sound_features(tmp_path / "film.wav", tmp_path / "spaces.nc", config)
    arrays = load_arrays(tmp_path / "spaces.nc", *feature_names())
    assert arrays["sound_model"].shape == (4, 4, 32)
    assert arrays["sound_model_space"].values.tolist() == ["layer_2"] * 16 + ["layer_4"] * 16
