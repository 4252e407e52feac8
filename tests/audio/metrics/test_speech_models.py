"""DNSMOS, speakers and words: only with a model, in a child process. Oracles: stand-ins for the
runtime, identities, and transformers itself on a small random model."""

import json
import runpy
import sys
import types

import numpy as np
import pytest
import torch

from giblet.audio.metrics import child, dnsmos
from giblet.audio.metrics.recogniser import word_errors
from giblet.audio.metrics.speech_models import (
    DNSMOS,
    RECOGNISER,
    SPEAKER,
    dnsmos_scores,
    speaker_similarity,
    speech_models,
    word_error_rates,
)
from giblet.audio.metrics.table import METRICS, segment_metrics
from giblet.errors import GibletError


@pytest.fixture
def speaker(tmp_path):
    """A small random WavLM with x-vectors, saved as transformers does."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4),
        conv_stride=(10, 8, 4),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        tdnn_dim=(8, 8, 8),
        tdnn_kernel=(3, 3, 1),
        tdnn_dilation=(1, 2, 1),
        xvector_output_dim=8,
        num_buckets=8,
    )
    model = WavLMForXVector(config).eval()
    model.save_pretrained(tmp_path)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    extractor.save_pretrained(tmp_path)
    return tmp_path, model, extractor


def test_without_a_model_there_is_no_metric(tmp_path):
    def names():
        return {metric.name for metric in segment_metrics()}

    assert not {"dnsmos", "speaker_similarity"} & names()
    with speech_models({DNSMOS: None, SPEAKER: str(tmp_path)}):
        assert "speaker_similarity" in names()
        assert "dnsmos" not in names()
    assert "speaker_similarity" not in names()
    assert METRICS["dnsmos"].model == DNSMOS
    missing = speech_models({DNSMOS: str(tmp_path / "nowhere.onnx")})
    with (
        pytest.raises(GibletError, match=r"speech_models.dnsmos: .*nowhere.onnx does not exist"),
        missing,
    ):
        pass


def test_speaker_similarity_is_the_cosine_of_the_models_embeddings(speaker, rng):
    folder, model, extractor = speaker
    sounds = [0.1 * rng.standard_normal(16000).astype(np.float32) for _ in range(2)]
    short = sounds[0][:15999]
    with speech_models({SPEAKER: str(folder)}):
        same, other, none = speaker_similarity([(sounds[0],) * 2, tuple(sounds), (short,) * 2])
    with torch.inference_mode():
        one, two = (
            model(**extractor(s, sampling_rate=16000, return_tensors="pt")).embeddings[0].numpy()
            for s in sounds
        )
    assert same == pytest.approx(1, abs=1e-5)
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    assert other == pytest.approx(cosine, abs=1e-4)
    assert np.isnan(none)


def test_word_errors_of_known_sentences():
    assert word_errors("one two three", "one two three") == 0
    assert word_errors("one two three four", "one too three") == pytest.approx(2 / 4)
    assert word_errors("one", "one two three") == pytest.approx(2)
    assert np.isnan(word_errors("...", "one"))


def test_word_errors_are_of_what_the_recogniser_hears(tmp_path, rng):
    """A small random wav2vec 2.0 with CTC over letters and the mark between words."""
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcd"]
    (tmp_path / "vocab.json").write_text(json.dumps({one: n for n, one in enumerate(letters)}))
    tokenizer = Wav2Vec2CTCTokenizer(tmp_path / "vocab.json")
    processor = Wav2Vec2Processor(Wav2Vec2FeatureExtractor(do_normalize=True), tokenizer)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4),
        conv_stride=(10, 8, 4),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    model = Wav2Vec2ForCTC(config).eval()
    torch.nn.init.normal_(model.lm_head.weight, std=3.0)
    with torch.no_grad():
        model.lm_head.bias[:4] = -1e4  # letters and marks alone
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    sounds = [0.1 * rng.standard_normal(16000).astype(np.float32) for _ in range(2)]
    heard = []
    for sound in sounds:
        inputs = processor(sound, sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            heard.append(processor.batch_decode(model(**inputs).logits.argmax(dim=-1))[0])
    assert all(heard)
    with speech_models({RECOGNISER: str(tmp_path / "model")}):
        same, other = word_error_rates([(sounds[0],) * 2, tuple(sounds)])
    assert same == 0
    assert other == pytest.approx(word_errors(*heard))


def test_dnsmos_reads_windows_as_the_official_model_does(monkeypatch, rng):
    """A stand-in for onnxruntime whose overall quality is the window's mean."""

    class InferenceSession:
        def __init__(self, file, providers):
            assert file == "sig_bak_ovr.onnx"

        def run(self, _names, inputs):
            (window,) = inputs["input_1"]
            assert window.dtype == np.float32
            assert len(window) == 144160
            return [np.array([[9.0, 9.0, window.mean()]])]

    monkeypatch.setitem(
        sys.modules, "onnxruntime", types.SimpleNamespace(InferenceSession=InferenceSession)
    )
    score = runpy.run_path(dnsmos.__file__)["scorer"]("sig_bak_ovr.onnx")
    sound = 3 + rng.standard_normal(180000)
    means = [sound[start : start + 144160].mean() for start in (0, 16000)]
    expected = np.mean([np.poly1d([-0.06766283, 1.11546468, 0.04602535])(m) for m in means])
    assert score(np.zeros(9), sound) == pytest.approx(expected, abs=1e-4)
    for n in (16000, 64000, 128000, 144160, 160160, 170000, 176000, 400000):
        sound = rng.standard_normal(n).astype(np.float32)
        for own, other in zip(dnsmos.windows(sound), official_windows(sound), strict=True):
            np.testing.assert_array_equal(own, other)


def official_windows(audio):
    """Line by line as dnsmos_local.py, and torchmetrics, cut them."""
    while len(audio) < int(9.01 * 16000):
        audio = np.append(audio, audio)
    for idx in range(int(np.floor(len(audio) / 16000) - 9.01) + 1):
        part = audio[int(idx * 16000) : int((idx + 9.01) * 16000)]
        if len(part) == int(9.01 * 16000):
            yield part


def test_a_model_that_cannot_run_is_no_low_score(monkeypatch, tmp_path):
    stand_in = [sys.executable, "-c", "import no_such_package"]
    monkeypatch.setattr(
        "giblet.audio.metrics.speech_models.child_command", lambda *arguments: stand_in
    )
    message = r"speech_models.dnsmos: .*cannot be used .*giblet\[dnsmos\].*no_such_package"
    with speech_models({DNSMOS: str(tmp_path)}), pytest.raises(GibletError, match=message):
        dnsmos_scores([np.ones(16000)])
    assert child.child_command("a.py", "b")[-2:] == ["a.py", "b"]
