"""Features of sound from a pretrained model: layers of transformers' audio models.

Every feature is computed in one window of a fixed grid of the sound, with context to either side,
so it does not depend on the blocks in which the sound is read. Memory holds one window.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from giblet.audio.blocks import equal_blocks, overlapping
from giblet.audio.known_sound_models import KINDS, Kind
from giblet.audio.other_sound_models import fixed_samples, load_listener, sound_extractor
from giblet.config.trained_models import SOUND_CONTEXT, SOUND_STEP
from giblet.errors import GibletError
from giblet.film.model_layers import Layers, chosen_layers, load_pretrained
from giblet.io.hub import local_folder, model_folder
from giblet.timing import count_samples, frames_rate_hz, samples_duration

logger = logging.getLogger(__name__)

_SETTING = "sound_model.name"
_LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class _Window:
    """What a model sees at once: ``step_seconds`` that are kept, ``context_seconds`` around them.

    ``kind``: None for a type that is not in `KINDS`. ``longest`` samples are taken at once (0: any
    number).
    """

    kind: Kind | None
    config: Any
    processor: Any
    longest: int
    step_seconds: float
    context_seconds: float

    @classmethod
    def read(
        cls, folder: Path, name: str, step_seconds: float | None, context_seconds: float | None
    ) -> "_Window":
        """By the configs in a model's folder. GibletError where it is not of an audio model."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise _not_audio(name, error) from error
        kind = next((k for k in KINDS if config.model_type in k.types), None)
        try:
            processor = sound_extractor(folder)
            longest = kind.longest(config, processor) if kind else fixed_samples(processor)
        except (OSError, ValueError) as error:
            raise _not_audio(name, f"{config.model_type}: {error}") from error
        has_frames = kind is None or kind.hop(config, processor) > 0
        most = samples_duration(longest, int(processor.sampling_rate)) if longest else np.inf
        if step_seconds is None:
            step_seconds = min(SOUND_STEP, most / 2) if has_frames else 1.0
        if context_seconds is None:
            fits = max(0.0, (most - step_seconds) / 2)
            context_seconds = min(SOUND_CONTEXT, fits) if has_frames else fits
        return cls(kind, config, processor, longest, step_seconds, context_seconds)

    @property
    def sample_rate(self) -> int:
        return int(self.processor.sampling_rate)

    @property
    def reach_seconds(self) -> float:
        return self.step_seconds + self.context_seconds


def _not_audio(name: str, reason: object) -> GibletError:
    first = str(reason).strip().splitlines()[0]
    return GibletError(
        f"{_SETTING} {name!r}: not an audio model ({first}). Choose a model of transformers that "
        "takes sound, with its feature extractor (preprocessor_config.json)"
    )


def known_reach_seconds(
    name_or_folder: str, step_seconds: float | None = None, context_seconds: float | None = None
) -> float | None:
    """``reach_seconds`` of a `SoundModel`, without its weights and without the network.

    None where it depends on a model that is not there yet. GibletError: not an audio model.

    >>> known_reach_seconds("some/model", 2.0, 5.0), known_reach_seconds("some/model")
    (7.0, None)
    """
    if (folder := local_folder(name_or_folder)) is None:
        both = step_seconds, context_seconds
        return None if None in both else sum(filter(None, both))
    return _Window.read(folder, name_or_folder, step_seconds, context_seconds).reach_seconds


class SoundModel:
    """Layers of an audio model, of windows with context.

    Parameters
    ----------
    name_or_folder
        Hugging Face id with its commit, or a folder: any model of transformers with a feature
        extractor of sound and hidden states in time. Of encoders with decoders (Whisper) the
        encoder; of EnCodec and DAC the latents.
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
        Not an audio model; no part that hears and has hidden states; no such layer; a window
        longer than the model takes.
    """

    def __init__(
        self,
        name_or_folder: str,
        layers: Layers = (0.25, 0.5, 0.75),
        step_seconds: float | None = None,
        context_seconds: float | None = None,
    ):
        folder = model_folder(name_or_folder, _SETTING)
        window = _Window.read(folder, name_or_folder, step_seconds, context_seconds)
        self._processor, self._kind, self._config = window.processor, window.kind, window.config
        self._hear, hop, self._least_seconds = _loaded(name_or_folder, window)
        if getattr(self._config, "audio_channels", 1) > 1:
            logger.warning("%s is stereo: both channels get the mono sound", name_or_folder)
        self.sample_rate, longest = window.sample_rate, window.longest
        self._step = count_samples(window.step_seconds, self.sample_rate)
        self.hop = hop or self._step
        self._step = max(1, round(self._step / self.hop)) * self.hop
        context = count_samples(window.context_seconds, self.sample_rate)
        self._context = round(context / self.hop) * self.hop if hop else context
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
        at ``rate_hz``; 0 in silent windows of which a model has no value. GibletError for other
        values that are not finite.
        """
        windows = overlapping(equal_blocks(blocks, self._step), self._context)
        for window, before, n_samples in windows:
            yield self._finite(self._middle(window, before, n_samples), window)

    def _finite(self, features: np.ndarray, window: np.ndarray) -> np.ndarray:
        """0 in silence of which a model has no value, as where it divides by the window's spread.
        GibletError for other sound."""
        lacking = ~np.isfinite(features).all(axis=0)
        if not lacking.any():
            return features
        if not (window == window[0]).all():
            layer = self.layers[
                int(np.repeat(np.arange(len(self.layers)), self.widths)[lacking][0])
            ]
            raise GibletError(
                f"sound_model: layer {layer} has values that are not finite. Choose other layers, "
                "or another model"
            )
        return np.zeros_like(features)

    def _middle(self, window: np.ndarray, before: int, n_samples: int) -> np.ndarray:
        states = self._states(window)
        if self._kind is not None and (in_time := self._kind.in_time) is not None:
            tokens = (in_time(self._config, self._processor, states[i]) for i in self.layers)
            return np.concatenate([_mean(*one, before, n_samples) for one in tokens])[None]
        chosen = [states[i][0].float().numpy() for i in self.layers]
        first, n_frames = before // self.hop, -(-n_samples // self.hop)
        kept = [layer[first : first + n_frames] for layer in chosen]
        return np.concatenate([_padded(layer, n_frames) for layer in kept], axis=1)

    def _states(self, window: np.ndarray) -> Sequence[Any]:
        import torch

        short = count_samples(self._least_seconds, self.sample_rate) - len(window)
        if short > 0:
            window = np.pad(window, (0, short))
        with torch.inference_mode():
            return self._hear(window)


def _loaded(name: str, window: _Window) -> tuple[Callable, int, float]:
    """Sound (n_samples,) → hidden states; samples of a frame (0: one vector a window); seconds of
    the shortest sound that the model takes."""
    from transformers import AutoModel

    if (kind := window.kind) is None:
        listener = load_listener(name, _SETTING, window.config, window.processor, window.longest)
        return listener.states, listener.hop, listener.least_seconds
    model = load_pretrained(name, _SETTING, "an audio model", AutoModel.from_pretrained).float()
    hop = kind.hop(window.config, window.processor)
    return partial(kind.states, model, window.processor), hop, _LEAST_SECONDS


def _padded(layer: np.ndarray, n_frames: int) -> np.ndarray:
    """With its last frame repeated: convolutions lose the last frames of a sound, and layers may
    lose differently many."""
    lost = n_frames - len(layer)
    return np.pad(layer, ((0, lost), (0, 0)), "edge" if len(layer) else "constant")


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
