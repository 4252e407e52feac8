"""Audio models of types that giblet has no entry for. Oracle: transformers' models by hand."""

import json
import logging

import numpy as np
import pytest
import torch
import transformers

from giblet.audio.known_sound_models import KINDS
from giblet.audio.model_features import SoundModel, known_reach_seconds
from giblet.errors import GibletError

SMALL = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
WAVES = {"conv_dim": (8, 8), "conv_stride": (5, 64), "conv_kernel": (10, 64)}  # 320 samples
WAVES |= {"num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8}
WAVES |= {"num_conv_pos_embedding_groups": 2}
ENCODER = {"encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
DECODER = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
WORDS = {"model_type": "qwen2", "hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 30}
WORDS |= {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
ALIKE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
ALIKE |= {"intermediate_size": 16, "subsampling_conv_channels": 8}


def waves(rate=16000):
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=rate)


# name → (model, its settings, extractor, path of the part that hears, Hz of the frames)
MODELS = {
    "SEWD": (
        "SEWDModel", {**SMALL, **WAVES, "position_buckets": 8, "max_position_embeddings": 32},
        waves, "", 25,
    ),
    "Wav2Vec2Conformer": (
        "Wav2Vec2ConformerModel",
        {**SMALL, **WAVES, "intermediate_size": 32, "feat_extract_norm": "layer"}, waves, "", 50,
    ),
    "Wav2Vec2Bert": (
        "Wav2Vec2BertModel", {**SMALL, "intermediate_size": 32},
        transformers.SeamlessM4TFeatureExtractor, "", 50,
    ),
    "SpeechT5": (  # AutoModel's own part takes no waves: the class that the config names does
        "SpeechT5ForSpeechToText",
        {**WAVES, **ENCODER, **DECODER, "hidden_size": 16, "vocab_size": 20},
        transformers.SpeechT5FeatureExtractor, "speecht5.encoder", 50,
    ),
    "Speech2Text": (
        "Speech2TextModel",
        {**ENCODER, **DECODER, "d_model": 16, "conv_channels": 16, "vocab_size": 20},
        transformers.Speech2TextFeatureExtractor, "encoder", 25,
    ),
    "Moonshine": (
        "MoonshineModel",
        {
            "hidden_size": 16, "intermediate_size": 16, "vocab_size": 20, "pad_token_id": 0,
            "encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 1,
            "encoder_num_attention_heads": 2, "decoder_num_attention_heads": 2,
        },
        waves, "encoder", 16000 / 384,
    ),
    "ParakeetEncoder": (
        "ParakeetEncoder", ALIKE, transformers.ParakeetFeatureExtractor, "", 12.5,
    ),
    "LasrEncoder": ("LasrEncoder", ALIKE, transformers.LasrFeatureExtractor, "", 25),
    "Qwen2Audio": (  # takes 30 s; its last layer has half of the frames
        "Qwen2AudioModel",
        {"audio_config": {**ENCODER, "d_model": 16, "num_mel_bins": 80}, "text_config": WORDS},
        transformers.WhisperFeatureExtractor, "audio_tower", 50,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """Name in `MODELS` → folder of a random model in transformers' format; made once."""
    folders = {}

    def made(name):
        if name not in folders:
            kind, settings, extractor, _path, _rate = MODELS[name]
            torch.manual_seed(0)
            network = getattr(transformers, kind)(
                getattr(transformers, f"{name}Config")(**settings)
            )
            folders[name] = str(tmp_path_factory.mktemp("models") / name)
            network.save_pretrained(folders[name])
            extractor().save_pretrained(folders[name])
        return folders[name]

    return made


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(5)
    return 0.1 * rng.standard_normal(16000 * 31 + 137).astype(np.float32)  # no whole frame


def in_blocks(sound, seconds):
    return np.split(sound, np.arange(16000 * seconds, len(sound), 16000 * seconds))


def all_of(model, pieces):
    return np.concatenate(list(model.features(pieces)))


def by_hand(folder, name, window):
    """Hidden states of a window (n_frames, 16) each, as transformers gives them."""
    kind, _settings, _extractor, path, _rate = MODELS[name]
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(window, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        states = network.get_submodule(path)(**values, output_hidden_states=True).hidden_states
    return [state[0] for state in states]


@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_hidden_states_at_the_measured_rate(name, model_of, sound):
    """The type has no entry; the second window is 2 to 4 s, with 2 s on either side."""
    folder = model_of(name)
    kind = transformers.AutoConfig.from_pretrained(folder).model_type
    assert not any(kind in one.types for one in KINDS)
    model = SoundModel(folder, "all", step_seconds=2, context_seconds=2)
    assert model.rate_hz == pytest.approx(MODELS[name][-1])
    features, hop = all_of(model, [sound[: 16000 * 6]]), model.hop
    assert len(features) == -(-16000 * 6 // hop)
    step = round(32000 / hop)  # frames, of Moonshine no whole number in 2 s
    states = by_hand(folder, name, sound[: min(96000, 3 * step * hop)])
    finest = max(map(len, states))
    states = [state.repeat_interleave(round(finest / len(state)), dim=0) for state in states]
    expected = torch.cat([state[step : 2 * step] for state in states], dim=1)
    np.testing.assert_allclose(features[step : 2 * step], expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_blocks_of_5_and_30_seconds_give_the_same(name, model_of, sound):
    """Windows are always at the same places: of global attention too."""
    model = SoundModel(model_of(name), [0, 0.5, 1.0])
    short, long = (all_of(model, in_blocks(sound, seconds)) for seconds in (5, 30))
    assert len(short) == -(-len(sound) // model.hop)
    np.testing.assert_allclose(short, long, atol=1e-4)
    assert model.reach_seconds == known_reach_seconds(model_of(name)) == 15


@pytest.mark.parametrize("name", ["Wav2Vec2Conformer", "LasrEncoder", "Speech2Text"])
def test_local_layers_do_not_depend_on_windows(name, model_of, sound):
    """Layer 0 is before attention; with context windows of 2 s and 8 s give the same. Without its
    normalisation, which is of a window."""
    short, long = (SoundModel(model_of(name), [0], step, 1) for step in (2, 8))
    for model in (short, long):
        extractor = model._processor
        extractor.do_normalize = extractor.do_ceptral_normalize = False
    features = [all_of(model, [sound[: 16000 * 16]]) for model in (short, long)]
    if name == "Speech2Text":  # adds the places in the window
        assert np.abs(features[0] - features[1]).max() > 0.1
    else:
        np.testing.assert_allclose(*features, atol=1e-4)


def test_half_precision_is_read_as_single(tmp_path, model_of, sound):
    """Weights of bfloat16, as hubs have them."""
    folder = model_of("Wav2Vec2Conformer")
    network = transformers.AutoModel.from_pretrained(folder).bfloat16()
    network.save_pretrained(tmp_path)
    waves().save_pretrained(tmp_path)
    features = all_of(SoundModel(str(tmp_path), [4], 2, 1), [sound[:80000]])
    whole = all_of(SoundModel(folder, [4], 2, 1), [sound[:80000]])
    assert np.corrcoef(features.ravel(), whole.ravel())[0, 1] > 0.99


def test_the_log_names_the_part_that_hears(model_of, caplog):
    with caplog.at_level(logging.INFO, logger="giblet"):
        SoundModel(model_of("Qwen2Audio"), [0])
    assert "the layers of Qwen2AudioEncoder in its audio_tower, a frame every 320" in caplog.text


def test_an_extractor_within_a_processor(tmp_path, model_of, sound):
    """Newer models have one file of the whole processor."""
    folder = model_of("ParakeetEncoder")
    network = transformers.AutoModel.from_pretrained(folder)
    network.save_pretrained(tmp_path)
    own = transformers.ParakeetFeatureExtractor()
    nested = {"feature_extractor": own.to_dict(), "processor_class": "ParakeetProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    features = all_of(SoundModel(str(tmp_path), [1], 2, 1), [sound[:80000]])
    np.testing.assert_allclose(features, all_of(SoundModel(folder, [1], 2, 1), [sound[:80000]]))


def test_windows_of_silence_are_zero_where_the_model_has_no_value(model_of, sound):
    """Speech2Text divides by the window's own spread, which silence does not have."""
    model = SoundModel(model_of("Speech2Text"), [2], step_seconds=2, context_seconds=1)
    silent = sound[: 16000 * 12].copy()
    silent[16000 * 3 : 16000 * 9] = 0  # the window of 4 to 8 s, with its context
    features = all_of(model, [silent])
    assert np.isfinite(features).all()
    assert features.any(axis=1).tolist() == [True] * 100 + [False] * 100 + [True] * 100


def test_values_that_are_not_finite_are_refused(tmp_path, model_of, sound):
    network = transformers.AutoModel.from_pretrained(model_of("Wav2Vec2Conformer"))
    network.encoder.layers[1].ffn1.output_dense.bias.data[3] = torch.inf
    network.save_pretrained(tmp_path)
    waves().save_pretrained(tmp_path)
    model = SoundModel(str(tmp_path), [4], 2, 1)
    with pytest.raises(GibletError, match="layer 4 has values that are not finite"):
        all_of(model, [sound])


def picture_model(folder):
    config = transformers.ViTConfig(**SMALL, intermediate_size=16, image_size=32)
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor().save_pretrained(folder)


def text_model(folder):
    config = transformers.BertConfig(vocab_size=9, intermediate_size=8, **SMALL)
    transformers.BertModel(config).save_pretrained(folder)


def vocoder(folder):
    """From sound, without hidden states."""
    config = transformers.UnivNetConfig(model_hidden_channels=8)
    transformers.UnivNetModel(config).save_pretrained(folder)
    transformers.UnivNetFeatureExtractor().save_pretrained(folder)


def without_extractor(folder):
    transformers.Wav2Vec2ConformerModel(
        transformers.Wav2Vec2ConformerConfig(**SMALL, **WAVES, intermediate_size=32)
    ).save_pretrained(folder)


def lacks_weights(folder):
    from safetensors.torch import load_file, save_file

    without_extractor(folder)
    waves().save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layers.1.final_layer_norm.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


REFUSED = {
    "a picture model": (picture_model, "not an audio model .vit: .*feature extractor"),
    "a text model": (text_model, "not an audio model .bert: .*feature extractor"),
    "a vocoder": (vocoder, "no part of UnivNetModel takes sound alone .* encoder of sound"),
    "no extractor": (without_extractor, "not an audio model .wav2vec2-conformer"),
    "no weights": (lacks_weights, "weights lack encoder.layers.1.final_layer_norm.weight"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_one_line(case, tmp_path):
    make, line = REFUSED[case]
    make(tmp_path)
    with pytest.raises(GibletError, match=line) as refused:
        SoundModel(str(tmp_path))
    assert len(str(refused.value).splitlines()) == 1
