"""Audio models of transformers that giblet knows: their frames, windows and layers.

Those of other types are measured, see `giblet.audio.other_sound_models`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A family of audio models.

    types
        ``model_type`` of their configs.
    hop
        (config, processor) → samples of one frame; 0: one vector a window.
    longest
        (config, processor) → samples that it takes at once; 0: any number.
    states
        (model, processor, window) → hidden states, (1, n_tokens, width) each, or
        (1, width, height, width).
    in_time
        Of one vector a window: (config, processor, hidden state) → its tokens in time, the mean
        over frequencies, (n_times, width), and the samples at which each begins and ends.
    """

    types: tuple[str, ...]
    hop: Callable[[Any, Any], int]
    states: Callable[[Any, Any, np.ndarray], Sequence[Any]]
    longest: Callable[[Any, Any], int] = lambda config, processor: 0
    in_time: Callable[[Any, Any, Any], tuple[Any, np.ndarray, np.ndarray]] | None = None


def _inputs(processor, window: np.ndarray, **options) -> dict:
    rate = processor.sampling_rate
    return dict(processor(window, sampling_rate=rate, return_tensors="pt", **options))


def _of_waves(model, processor, window):
    inputs = _inputs(processor, window)
    return model(input_values=inputs["input_values"], output_hidden_states=True).hidden_states


def _of_whisper(model, processor, window):
    features = _inputs(processor, window)["input_features"]
    return model.get_encoder()(features, output_hidden_states=True).hidden_states


def _of_spectrogram(model, processor, window):
    values = _inputs(processor, window)["input_values"]
    return model(input_values=values, output_hidden_states=True).hidden_states


def _ast_in_time(config, processor, states):
    """Patches overlap in time and frequency, and lie frequency by frequency."""
    n_times = (config.max_length - config.patch_size) // config.time_stride + 1
    patches = states[0, 2:]  # without the two tokens of class and distillation
    values = patches.reshape(-1, n_times, patches.shape[-1]).mean(dim=0)
    frame = processor.sampling_rate // 100
    begins = np.arange(n_times) * config.time_stride * frame
    # a frame of the spectrogram is a window of 25 ms
    return values, begins, begins + (config.patch_size - 1) * frame + 5 * frame // 2


def _clap_in_time(config, processor, states):
    """The spectrogram is cut into ``ratio`` pieces of time, which lie below one another."""
    config = getattr(config, "audio_config", config)
    ratio = config.spec_size // config.num_mel_bins
    width, height, n_times = states.shape[1:]
    pieces = states[0].reshape(width, ratio, height // ratio, n_times).mean(dim=2)
    values = pieces.reshape(width, -1).T
    edges = np.linspace(0, processor.nb_max_samples, len(values) + 1)
    return values, edges[:-1], edges[1:]


def _of_clap(model, processor, window):
    inputs = _inputs(processor, window)
    tower = getattr(model, "audio_model", model)
    output = tower(
        input_features=inputs["input_features"],
        is_longer=inputs.get("is_longer"),
        output_hidden_states=True,
    )
    return output.hidden_states


def _of_codec(model, processor, window):
    """Of EnCodec at 48 kHz second by second, each divided by its RMS, as it was trained."""
    import torch

    config, latents = model.config, []
    length = getattr(config, "chunk_length", None) or len(window)
    for begin in range(0, len(window), length):
        chunk = window[begin : begin + length]
        n_frames = -(-len(chunk) // config.hop_length)
        chunk = np.pad(chunk, (0, length - len(chunk)))
        sound = torch.from_numpy(chunk).expand(1, getattr(config, "audio_channels", 1), -1)
        if getattr(config, "normalize", False):
            sound = sound / (sound.square().mean().sqrt() + 1e-8)
        latents.append(model.encoder(sound)[0, :, :n_frames].T)
    return [torch.cat(latents)[None]]


KINDS = (
    Kind(
        ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"),
        lambda config, _: prod(config.conv_stride),
        _of_waves,
    ),
    Kind(  # its layers run at a fraction of the rate of its convolutions
        ("sew",),
        lambda config, _: prod(config.conv_stride) * config.squeeze_factor,
        _of_waves,
    ),
    Kind(
        ("whisper",),
        lambda _, processor: 2 * processor.hop_length,
        _of_whisper,
        lambda _, processor: processor.n_samples,
    ),
    Kind(
        ("audio-spectrogram-transformer",),
        lambda *_: 0,
        _of_spectrogram,
        lambda config, processor: config.max_length * processor.sampling_rate // 100,  # 10 ms each
        _ast_in_time,
    ),
    Kind(
        ("clap",),
        lambda *_: 0,
        _of_clap,
        lambda _, processor: processor.nb_max_samples,
        _clap_in_time,
    ),
    Kind(("encodec",), lambda config, _: prod(config.upsampling_ratios), _of_codec),
    Kind(("dac",), lambda config, _: prod(config.downsampling_ratios), _of_codec),
)
