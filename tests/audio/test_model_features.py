"""Features of audio models. Oracle: transformers' models, called by hand; models are random."""

import tracemalloc

import numpy as np
import pytest
import torch

from giblet.audio.files import write_sound
from giblet.audio.model_features import SoundModel, mean_in_bins
from giblet.brain.stimulus_clock import StimulusClock
from giblet.commands.feature_spaces import sound_features
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.modalities import feature_names
from giblet.io.arrays import load_arrays
from giblet.log import warnings_of

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
    """AST: the mean over the tokens that overlap the middle of a window. Oracle: AST by hand.

    Tokens are 16 frames of 10 ms, every 10 frames, of windows of 25 ms.
    """
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    torch.manual_seed(0)
    config = ASTConfig(**SMALL, intermediate_size=16, max_length=300, num_mel_bins=128)
    processor = ASTFeatureExtractor(max_length=300)
    folder = saved(tmp_path / "m", ASTModel(config), processor)
    features = all_of(SoundModel(folder, [0, 2], step_seconds=1, context_seconds=0.5), [sound])
    assert features.shape == (7, 32)
    values = processor(sound[24000:56000], sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        states = ASTModel.from_pretrained(folder).eval()(**values, output_hidden_states=True)
    in_time = [states.hidden_states[i][0, 2:].reshape(12, 29, 16) for i in (0, 2)]
    # token 4 begins at 0.4 s and ends at 0.575 s, token 14 begins at 1.4 s
    expected = torch.cat([state[:, 4:15].mean(dim=(0, 1)) for state in in_time])
    np.testing.assert_allclose(features[2], expected, atol=1e-5)


def clap_model(folder):
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    torch.manual_seed(0)
    own = {"num_mel_bins": 64, "spec_size": 256, "hidden_size": 64, "patch_embeds_hidden_size": 8}
    own |= {"depths": [1] * 4, "num_attention_heads": [1, 2, 4, 8], "num_hidden_layers": 4}
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20}
    text |= {"intermediate_size": 16, "max_position_embeddings": 10}
    config = ClapConfig(text_config=text, audio_config=own, projection_dim=8)
    return saved(folder, ClapModel(config), ClapFeatureExtractor(truncation="rand_trunc"))


def test_claps_layers(tmp_path, rng):
    """Oracle: the model by hand."""
    from transformers import ClapFeatureExtractor, ClapModel

    folder = clap_model(tmp_path / "m")
    sound = 0.1 * rng.standard_normal(48000 * 10).astype(np.float32)
    values = ClapFeatureExtractor.from_pretrained(folder)(
        sound, sampling_rate=48000, return_tensors="pt"
    )
    network = ClapModel.from_pretrained(folder).eval().audio_model
    with torch.no_grad():
        states = network(values["input_features"], output_hidden_states=True).hidden_states
    whole = all_of(SoundModel(folder, [0, 4], step_seconds=10, context_seconds=0), [sound])
    expected = torch.cat([states[i][0].mean(dim=(1, 2)) for i in (0, 4)])
    np.testing.assert_allclose(whole[0], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["AST", "CLAP"])
def test_models_of_a_fixed_length_have_their_own_default_window(name, tmp_path, rng):
    """One vector a second with all the context that they take; what is farther is not heard."""
    if name == "CLAP":
        model, rate, length = SoundModel(clap_model(tmp_path / "m"), [0, 1.0]), 48000, 10.0
    else:
        from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

        network = ASTModel(ASTConfig(**SMALL, intermediate_size=16))
        folder = saved(tmp_path / "m", network, ASTFeatureExtractor())
        model, rate, length = SoundModel(folder, [0, 1.0]), 16000, 10.24
    assert (model.rate_hz, model.reach_seconds) == (1, pytest.approx((length + 1) / 2))
    sound = 0.1 * rng.standard_normal(rate * 14).astype(np.float32)
    features = all_of(model, [sound])
    first = 16 if name == "AST" else 8  # columns of layer 0
    assert len(features) == 14
    other = sound.copy()
    other[9 * rate :] = 0.1 * rng.standard_normal(rate * 5)
    changed = np.abs(all_of(model, [other]) - features) > 1e-6
    # layer 0 hears its tokens alone, of which some cross the edge; the last one the window
    assert changed[:, :first].any(axis=1).tolist() == [False] * 8 + [True] * 6
    assert changed[:, first:].any(axis=1).tolist() == [False] * 4 + [True] * 10


def test_stereo_encodec_gets_the_sound_in_both_channels(tmp_path, rng, caplog):
    """EnCodec of 48 kHz: second by second, divided by its RMS. Oracle: EncodecModel.encode."""
    from transformers import EncodecConfig, EncodecFeatureExtractor, EncodecModel

    torch.manual_seed(0)
    config = EncodecConfig(
        num_filters=4, hidden_size=8, codebook_dim=8, audio_channels=2, sampling_rate=48000,
        normalize=True, chunk_length_s=1.0, overlap=0.01, norm_type="time_group_norm",
        target_bandwidths=[3.0],
    )  # fmt: skip
    processor = EncodecFeatureExtractor(feature_size=2, sampling_rate=48000)
    folder = saved(tmp_path / "m", EncodecModel(config), processor)
    sound = rng.standard_normal(48000 * 3).astype(np.float32) * np.repeat([0.1, 0.5, 0.02], 48000)
    sound = sound.astype(np.float32)
    model = SoundModel(folder, [0], step_seconds=2, context_seconds=1)
    features = all_of(model, [sound])
    assert (model.rate_hz, *features.shape) == (150, 450, 8)
    assert "both channels get the mono sound" in caplog.text
    network, latents = EncodecModel.from_pretrained(folder).eval(), []
    network.encoder.register_forward_hook(lambda _module, _inputs, output: latents.append(output))
    for second in np.split(sound, 3):
        both = torch.from_numpy(np.stack([second, second]))[None]
        with torch.no_grad():
            network.encode(both, torch.ones(1, 1, 48000, dtype=torch.bool), bandwidth=3.0)
    own = [one for one in latents if one.shape[-1] == 150]
    expected = torch.cat(own, dim=2)[0].T
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_dacs_latents(tmp_path, rng):
    """Oracle: the model's encoder by hand."""
    from transformers import DacConfig, DacFeatureExtractor, DacModel

    torch.manual_seed(0)
    config = DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[4, 5], upsampling_ratios=[5, 4],
        decoder_hidden_size=16, n_codebooks=2, codebook_dim=4, codebook_size=16,
        sampling_rate=1600, hidden_size=16,
    )  # fmt: skip
    processor = DacFeatureExtractor(sampling_rate=1600, hop_length=20)
    folder = saved(tmp_path / "m", DacModel(config), processor)
    sound = 0.1 * rng.standard_normal(1600 * 6).astype(np.float32)
    model = SoundModel(folder, [0], step_seconds=2, context_seconds=1)
    features = all_of(model, [sound])
    assert (model.sample_rate, model.rate_hz, *features.shape) == (1600, 80, 480, 16)
    with torch.no_grad():
        network = DacModel.from_pretrained(folder).eval()
        latents = network.encoder(torch.from_numpy(sound[None, None, 1600:8000]))
    np.testing.assert_allclose(features[160:320], latents[0].T[80:240], atol=1e-5)


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
    with pytest.raises(GibletError, match=r"not an audio model \(bert: .*feature extractor"):
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
    assert not warnings_of(arrays.attrs)
    close = parse_config({"t_r": 1.5, "sound_model": model, "splits": {"gap_seconds": 2.5}})
    sound_features(tmp_path / "film.wav", tmp_path / "spaces.nc", close)
    (line,) = warnings_of(load_arrays(tmp_path / "spaces.nc").attrs)
    assert line.startswith("sound_model: features hold sound from up to 3 s away")


def joined_clips(folder, clips, rate=16000):
    """The sounds of a folder as one film, and the table of their TRs (of 1.5 s)."""
    from giblet.commands.film import join_stimuli

    (folder / "clips").mkdir()
    for name, clip in clips.items():
        write_sound(folder / "clips" / f"{name}.wav", clip, rate)
    paths = folder / "stimuli.wav", folder / "stimuli.tsv"
    join_stimuli(folder / "clips", *paths, parse_config({"t_r": 1.5}))
    return paths


@pytest.mark.parametrize("rate", [16000, 22050])
def test_each_clip_has_the_features_of_the_clip_alone(wav2vec, tmp_path, rng, rate):
    """First and last, shorter and longer than a window; all of its TRs, none of silence."""
    model = {"name": wav2vec, "layers": [2, 4], "step_seconds": 2, "context_seconds": 1}
    config = parse_config({"t_r": 1.5, "sound_model": model})
    seconds = {"a": 3.2, "b": 7.9, "c": 1.6, "d": 4.5}
    clips = {k: 0.1 * rng.standard_normal(int(s * rate)) for k, s in seconds.items()}
    film, table = joined_clips(tmp_path, clips, rate)
    sound_features(film, tmp_path / "all.nc", config, table)
    found = load_arrays(tmp_path / "all.nc")["sound_model"].values
    clock = StimulusClock.read(table, 1.5)
    for name, first, n in zip(clock.names, clock.first_trs, clock.n_trs, strict=True):
        sound_features(tmp_path / "clips" / f"{name}.wav", tmp_path / "alone.nc", config)
        alone = load_arrays(tmp_path / "alone.nc")["sound_model"].values
        np.testing.assert_allclose(found[first : first + n], alone, atol=1e-6)
    ends = clock.first_trs + np.ceil(np.array(list(seconds.values())) / 1.5)
    silent = [tr for tr in range(len(found)) if not any((clock.first_trs <= tr) & (tr < ends))]
    assert len(silent) == len(found) - 3 - 6 - 2 - 3
    assert not found[silent].any()
    few = config.model_copy(update={"max_trs": 7})
    sound_features(film, tmp_path / "few.nc", few, table)
    np.testing.assert_allclose(load_arrays(tmp_path / "few.nc")["sound_model"], found[:7])


@pytest.mark.parametrize("n_frames", [(99, 98), (99, 100), (98, 99), (100, 0)])
def test_layers_that_lose_differently_many_frames(tmp_path, monkeypatch, n_frames):
    model = SoundModel(wave_model(tmp_path, "Wav2Vec2"), [0, 1], 2, 1)
    states = [torch.randn(1, n, 16) for n in n_frames]
    monkeypatch.setattr(model, "_states", lambda window: states)
    n_samples = 100 * model.hop
    features = model._middle(np.zeros(n_samples, np.float32), 0, n_samples)
    assert features.shape == (100, 32)
    for i, n in enumerate(n_frames):
        own = features[:, 16 * i : 16 * (i + 1)]
        np.testing.assert_array_equal(own[:n], states[i][0])
        np.testing.assert_array_equal(
            own[n:], np.repeat(own[n - 1 : n] if n else own[:1], 100 - n, 0)
        )
