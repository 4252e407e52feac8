"""Audio models of any other type of transformers: the part that hears, and its frames, measured."""

import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from giblet.errors import GibletError
from giblet.film.model_layers import load_pretrained

logger = logging.getLogger(__name__)

_NOT_OF_SOUND = ("input_ids", "decoder_")  # arguments of a whole that needs more than sound
_LEAST_SECONDS = (0.1, 0.2, 0.4, 0.8)  # the shortest sounds that are tried


def sound_extractor(folder: Path) -> Any:
    """The feature extractor in a model's folder, its own or that of its processor.

    ValueError or OSError where there is none that takes sound.
    """
    from transformers import AutoFeatureExtractor, AutoProcessor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        try:
            whole = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        except Exception:  # of a tokenizer, pictures: whatever it lacks
            raise error from None
        extractor = getattr(whole, "feature_extractor", whole)
    if not getattr(extractor, "sampling_rate", 0):
        raise ValueError("its feature extractor takes no sound")
    return extractor


def fixed_samples(extractor: Any) -> int:
    """Samples of the one length to which an extractor brings every sound; 0 where it keeps the
    length. ValueError where it does not state that length."""
    rate = int(extractor.sampling_rate)
    try:
        shapes = [next(iter(_extract(extractor, _noise(n * rate)).values())).shape for n in (1, 2)]
    except Exception as error:
        raise ValueError(f"its feature extractor fails: {_first_line(error)}") from error
    if shapes[0] != shapes[1]:
        return 0
    stated = getattr(extractor, "n_samples", 0) or getattr(extractor, "nb_max_samples", 0)
    if not stated:
        raise ValueError("its feature extractor cuts sounds to a length that it does not state")
    return int(stated)


@dataclass(frozen=True)
class Listener:
    """The part of a model that takes sound, and how its layers lie in time.

    Attributes
    ----------
    part : the whole model or its encoder of sound
    extractor : of transformers
    arguments : outputs of the extractor that ``part`` takes
    hop : samples of a frame of the finest layer
    repeats : of each layer, frames of the finest one in a frame
    least_seconds : of a sound that it takes
    """

    part: Any
    extractor: Any
    arguments: tuple[str, ...]
    hop: int
    repeats: tuple[int, ...]
    least_seconds: float

    def states(self, window: np.ndarray) -> list[Any]:
        """Hidden states of sound (n_samples,): (1, n_frames, width) each, all at ``hop``."""
        states = _states(self.part, self.extractor, self.arguments, window)
        pairs = zip(states, self.repeats, strict=True)
        return [state.repeat_interleave(n, dim=1) if n > 1 else state for state, n in pairs]


def load_listener(
    name_or_folder: str, setting: str, config: Any, extractor: Any, longest: int
) -> Listener:
    """The part that hears of the model that transformers loads for a config, or of the class
    that the config names (``architectures``).

    longest
        Samples to which ``extractor`` brings every sound (0: it keeps their length).

    Raises
    ------
    GibletError
        Weights that are not there; no part that takes the sound alone and gives hidden states;
        frames without a constant rate.
    """
    reasons: list[str] = []
    for load in _loaders(config):
        try:
            model = load_pretrained(name_or_folder, setting, "an audio model", load).float()
        except GibletError as error:
            reasons.append(str(error))
            continue
        for path, part in _parts(model):
            listener = _measured(name_or_folder, setting, part, extractor, longest)
            if listener is not None:
                where = f" in its {path}" if path else ""
                logger.info(
                    "%s: the layers of %s%s, a frame every %d samples",
                    name_or_folder, type(part).__name__, where, listener.hop,
                )  # fmt: skip
                return listener
        reasons.append(
            f"{setting} {name_or_folder!r}: no part of {type(model).__name__} takes sound alone "
            f"({_key(extractor)}) and gives hidden states in time. Choose a model with an encoder "
            "of sound, such as wav2vec 2.0, HuBERT or Whisper"
        )
    raise GibletError(reasons[-1])


def _loaders(config: Any) -> Iterator[Callable]:
    import transformers

    yield transformers.AutoModel.from_pretrained
    own = getattr(transformers, (getattr(config, "architectures", None) or [""])[0] or "", None)
    if own is not None:
        yield own.from_pretrained


def _parts(model: Any) -> list[tuple[str, Any]]:
    """The model and the models within it by their paths, outer ones first."""
    from transformers import PreTrainedModel

    parts = [(k, one) for k, one in model.named_modules() if isinstance(one, PreTrainedModel)]
    return sorted(parts, key=lambda part: part[0].count(".") + bool(part[0]))


def _measured(name: str, setting: str, part: Any, extractor: Any, longest: int) -> Listener | None:
    """None where a part does not hear."""
    key, rate = _key(extractor), int(extractor.sampling_rate)
    takes = inspect.signature(part.forward).parameters
    if key not in takes or any(name.startswith(_NOT_OF_SOUND) for name in takes):
        return None
    extracted = _extract(extractor, _noise(longest or rate))
    masks = tuple(k for k in extracted if k != key and k in takes and not longest)
    for arguments in dict.fromkeys(((key, *masks), (key,))):
        counts = _counts(part, extractor, arguments)
        if (of_second := counts(longest or rate)) and min(of_second) > 1:
            break
    else:
        return None
    if longest:
        hop, wide = longest / max(of_second), of_second
    else:
        hop, wide = _hop(counts, rate), counts(3 * rate)
    repeats = tuple(round(max(wide) / n) for n in wide)
    even = all(abs(max(wide) - n * times) <= times for n, times in zip(wide, repeats, strict=True))
    if hop != int(hop) or hop < 1 or not even:
        raise GibletError(
            f"{setting} {name!r}: its frames have no constant rate ({type(part).__name__}). Choose "
            "another model"
        )
    shortest = (s for s in _LEAST_SECONDS if longest or min(counts(int(s * rate)), default=0))
    return Listener(part, extractor, arguments, int(hop), repeats, next(shortest, 1.0))


def _counts(part: Any, extractor: Any, arguments: tuple[str, ...]) -> Callable[[int], list[int]]:
    """Number of samples → frames of each layer; none where the part fails."""

    def counted(n_samples: int) -> list[int]:
        try:
            states = _states(part, extractor, arguments, _noise(n_samples))
        except Exception:  # of a part for something else: whatever it lacks
            return []
        in_time = states and all(getattr(one, "ndim", 0) == 3 for one in states)
        return [one.shape[1] for one in states] if in_time else []

    return counted


def _hop(counts: Callable[[int], list[int]], rate: int) -> float:
    """Samples of a frame: the step between the shortest sounds of one more frame each, which has
    to hold over 2 s; else 0."""

    def frames(n_samples: int) -> int:
        return max(counts(n_samples), default=0)

    def shortest_of(n_frames: int, low: int, high: int) -> int:
        """``low``: a sound with fewer frames, ``high``: with as many."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if frames(middle) >= n_frames else (middle, high)
        return high

    first, later = frames(rate), frames(2 * rate)
    if later <= first:
        return 0.0
    reach = 2 * rate // (later - first) + 1
    high = min(rate + reach, 2 * rate)
    edge = shortest_of(first + 1, rate, high if frames(high) > first else 2 * rate)
    high = min(edge + reach, 2 * rate)
    hop = shortest_of(first + 2, edge, high if frames(high) > first + 1 else 2 * rate) - edge
    n_more = 2 * rate // hop
    far = edge + n_more * hop
    is_regular = (frames(far - 1), frames(far)) == (first + n_more, first + 1 + n_more)
    return float(hop) if is_regular else 0.0


def _key(extractor: Any) -> str:
    return str(extractor.model_input_names[0])


def _noise(n_samples: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)


def _extract(extractor: Any, window: np.ndarray) -> dict:
    rate = int(extractor.sampling_rate)
    inputs = dict(extractor(window, sampling_rate=rate, return_tensors="pt"))
    key = _key(extractor)
    return {key: inputs[key]} | inputs  # the key comes first


def _states(part: Any, extractor: Any, arguments: tuple[str, ...], window: np.ndarray) -> list:
    import torch

    extracted = _extract(extractor, window)
    with torch.inference_mode():
        output = part(**{k: extracted[k] for k in arguments}, output_hidden_states=True)
    return list(getattr(output, "hidden_states", None) or [])


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
