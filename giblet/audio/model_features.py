"""Features of sound from a pretrained model: layers of transformers' audio models.

Every feature is computed in one window of a fixed grid of the sound, with context to either side,
so it does not depend on the blocks in which the sound is read. Memory holds one window.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from giblet.audio.blocks import equal_blocks, overlapping
from giblet.config.trained_models import SOUND_CONTEXT, SOUND_STEP
from giblet.errors import GibletError
from giblet.film.model_layers import Layers, chosen_layers, load_pretrained
from giblet.io.hub import local_folder, model_folder
from giblet.timing import count_samples, frames_rate_hz, samples_duration

logger = logging.getLogger(__name__)

_SETTING = "sound_model.name"


@dataclass(frozen=True)
class _Kind:
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


_KINDS = (
    _Kind(
        ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"),
        lambda config, _: prod(config.conv_stride),
        _of_waves,
    ),
    _Kind(  # its layers run at a fraction of the rate of its convolutions
        ("sew",),
        lambda config, _: prod(config.conv_stride) * config.squeeze_factor,
        _of_waves,
    ),
    _Kind(
        ("whisper",),
        lambda _, processor: 2 * processor.hop_length,
        _of_whisper,
        lambda _, processor: processor.n_samples,
    ),
    _Kind(
        ("audio-spectrogram-transformer",),
        lambda *_: 0,
        _of_spectrogram,
        lambda config, processor: config.max_length * processor.sampling_rate // 100,  # 10 ms each
        _ast_in_time,
    ),
    _Kind(
        ("clap",),
        lambda *_: 0,
        _of_clap,
        lambda _, processor: processor.nb_max_samples,
        _clap_in_time,
    ),
    _Kind(("encodec",), lambda config, _: prod(config.upsampling_ratios), _of_codec),
    _Kind(("dac",), lambda config, _: prod(config.downsampling_ratios), _of_codec),
)


@dataclass(frozen=True)
class _Window:
    """What a model sees at once: ``step_seconds`` that are kept, ``context_seconds`` around them.

    ``longest`` samples are taken at once (0: any number); ``hop`` of 0: one vector a window.
    """

    kind: _Kind
    config: Any
    processor: Any
    hop: int
    longest: int
    step_seconds: float
    context_seconds: float

    @classmethod
    def read(
        cls, folder: Path, name: str, step_seconds: float | None, context_seconds: float | None
    ) -> "_Window":
        """By the configs in a model's folder. GibletError where it is not of an audio model."""
        from transformers import AutoConfig, AutoFeatureExtractor

        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            kind = next((k for k in _KINDS if config.model_type in k.types), None)
            if kind is None:
                known = ", ".join(name for k in _KINDS for name in k.types)
                raise ValueError(f"{config.model_type}; known are {known}")
            processor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            message = f"{_SETTING} {name!r}: not an audio model ({reason})"
            raise GibletError(message) from error
        hop, longest = kind.hop(config, processor), kind.longest(config, processor)
        most = samples_duration(longest, int(processor.sampling_rate)) if longest else np.inf
        if step_seconds is None:
            step_seconds = SOUND_STEP if hop else 1.0
        if context_seconds is None:
            fits = max(0.0, (most - step_seconds) / 2)
            context_seconds = min(SOUND_CONTEXT, fits) if hop else fits
        return cls(kind, config, processor, hop, longest, step_seconds, context_seconds)

    @property
    def sample_rate(self) -> int:
        return int(self.processor.sampling_rate)

    @property
    def reach_seconds(self) -> float:
        return self.step_seconds + self.context_seconds


def known_reach_seconds(
    name_or_folder: str, step_seconds: float | None = None, context_seconds: float | None = None
) -> float | None:
    """``reach_seconds`` of a `SoundModel`, without its weights and without the network.

    None where it depends on a model that is not there yet. GibletError: not an audio model.

    >>> known_reach_seconds("some/model", 2.0, 5.0), known_reach_seconds("some/model")
    (7.0, None)
    """
    if step_seconds is not None and context_seconds is not None:
        return step_seconds + context_seconds
    folder = local_folder(name_or_folder)
    if folder is None:
        return None
    return _Window.read(folder, name_or_folder, step_seconds, context_seconds).reach_seconds


class SoundModel:
    """Layers of an audio model, of windows with context.

    Parameters
    ----------
    name_or_folder
        Hugging Face id with its commit, or a folder: wav2vec 2.0, HuBERT, WavLM, Whisper (its
        encoder), AST, CLAP, and the latents of EnCodec and DAC.
    layers
        As `giblet.film.model_layers.chosen_layers`; a codec has layer 0 alone.
    step_seconds, context_seconds
        Of a window the middle ``step_seconds`` are kept; before and after it are
        ``context_seconds``. AST and CLAP have one vector a window: the mean over the tokens that
        overlap the middle. None: 10 s and 5 s; of AST and CLAP 1 s and what fills the window that
        they take.

    Attributes
    ----------
    sample_rate, rate_hz : Hz, of the sound and of the features
    reach_seconds : from a feature to the farthest sound in its window
    layers : list of int
    widths : features of each layer

    Raises
    ------
    GibletError
        Not an audio model; no such layer; a window longer than the model takes.
    """

    def __init__(
        self,
        name_or_folder: str,
        layers: Layers = (0.25, 0.5, 0.75),
        step_seconds: float | None = None,
        context_seconds: float | None = None,
    ):
        from transformers import AutoModel

        folder = model_folder(name_or_folder, _SETTING)
        window = _Window.read(folder, name_or_folder, step_seconds, context_seconds)
        load = AutoModel.from_pretrained
        self._model = load_pretrained(name_or_folder, _SETTING, "an audio model", load)
        self._processor, self._kind, self._config = window.processor, window.kind, window.config
        if getattr(self._config, "audio_channels", 1) > 1:
            logger.warning("%s is stereo: both channels get the mono sound", name_or_folder)
        self.sample_rate, longest = window.sample_rate, window.longest
        self._step = count_samples(window.step_seconds, self.sample_rate)
        self.hop = window.hop or self._step
        self._step = max(1, round(self._step / self.hop)) * self.hop
        context = count_samples(window.context_seconds, self.sample_rate)
        self._context = round(context / self.hop) * self.hop if window.hop else context
        if longest and self._step + 2 * self._context > longest:
            most = samples_duration(longest, self.sample_rate)
            raise GibletError(
                f"sound_model: windows of {window.step_seconds:g} s with "
                f"{window.context_seconds:g} s of context on either side are longer than the "
                f"{most:g} s that {name_or_folder} takes: lower step_seconds, or set "
                "context_seconds to null"
            )
        self.reach_seconds = window.reach_seconds
        self.rate_hz = frames_rate_hz(1, samples_duration(self.hop, self.sample_rate))
        states = self._states(np.zeros(min(self.sample_rate, longest or self.sample_rate), "f4"))
        self.layers = chosen_layers(layers, len(states) - 1, "sound_model.layers")
        widths = [states[i].shape[2 if states[i].ndim == 3 else 1] for i in self.layers]
        self.widths = widths

    def features(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Blocks of sound (n_samples,) of any length → pieces (n_frames, n_features) float32.

        Layer beside layer, ``widths`` columns each. Together they are ceil(n_samples / hop) frames,
        at ``rate_hz``.
        """
        windows = overlapping(equal_blocks(blocks, self._step), self._context)
        for window, before, n_samples in windows:
            yield self._middle(window, before, n_samples)

    def _middle(self, window: np.ndarray, before: int, n_samples: int) -> np.ndarray:
        states = self._states(window)
        if (in_time := self._kind.in_time) is not None:
            tokens = (in_time(self._config, self._processor, states[i]) for i in self.layers)
            return np.concatenate([_mean(*one, before, n_samples) for one in tokens])[None]
        chosen = [states[i][0].float().numpy() for i in self.layers]
        first, n_frames = before // self.hop, -(-n_samples // self.hop)
        kept = [layer[first : first + n_frames] for layer in chosen]
        short = n_frames - len(kept[0])  # convolutions lose the last frames of a sound
        kept = [
            np.pad(layer, ((0, short), (0, 0)), "edge" if len(layer) else "constant")
            for layer in kept
        ]
        return np.concatenate(kept, axis=1)

    def _states(self, window: np.ndarray) -> Sequence[Any]:
        import torch

        short = count_samples(0.1, self.sample_rate) - len(window)
        if short > 0:
            window = np.pad(window, (0, short))
        with torch.inference_mode():
            return self._kind.states(self._model, self._processor, window)


def _mean(values, begins: np.ndarray, ends: np.ndarray, before: int, n_samples: int) -> np.ndarray:
    """Mean over the tokens that overlap ``n_samples`` of a window from ``before`` on, (width,)."""
    own = (begins < before + n_samples) & (ends > before)
    return values[own].mean(dim=0).float().numpy()


def mean_in_bins(
    pieces: Iterable[np.ndarray], rate_hz: float, bin_seconds: float, n_bins: int
) -> np.ndarray:
    """Means of the frames in equal bins of time: (n_bins, n_features) float32.

    ``pieces`` (n, n_features) at ``rate_hz``; a bin without the middle of a frame has the nearest.

    >>> mean_in_bins([np.arange(6.0)[:, None]], 2.0, 1.5, 2).tolist()
    [[1.0], [4.0]]
    """
    total, n_frames, counts = None, 0, np.zeros(n_bins, dtype=int)
    for piece in pieces:
        middles = (n_frames + np.arange(len(piece)) + 0.5) / rate_hz
        bins = np.floor(middles / bin_seconds + 1e-9).astype(int)
        n_frames, kept = n_frames + len(piece), bins < n_bins
        if total is None:
            total = np.zeros((n_bins, piece.shape[1]), dtype=np.float32)
        np.add.at(total, bins[kept], piece[kept])
        counts += np.bincount(bins[kept], minlength=n_bins)
        if not kept.all():
            break
    if total is None or not counts.any():
        raise GibletError("the sound is shorter than one bin of features")
    filled = np.flatnonzero(counts)
    halfway = (filled[:-1] + filled[1:]) / 2
    nearest = filled[np.searchsorted(halfway, np.arange(n_bins))]
    return total[nearest] / counts[nearest, None]
