"""Formats of arrays of sound features: detected, and checked before decoding.

============ ================================= ======================= =============
format       shape                             dtype                   encoding_mode
============ ================================= ======================= =============
``encodec``  (n_trs, n_codebooks, frames)      signed integer, -1 = no ``encodec``
                                               frame
``mel_3d``   (n_trs, n_mels, frames)           float, dB               ``mel``
``mel_2d``   (n_trs, n_mels), a TR's average   float, dB               ``mel``
============ ================================= ======================= =============
"""

from collections.abc import Mapping

import numpy as np

from giblet.errors import GibletError
from giblet.io.validation import check_codes, check_features, without_mask

FORMAT_VERSION = 1  # goes up when stored features of the same facts mean something else
LATENT_SIZES = (128, 129, 256, 512, 1024)  # of codecs' latents (n_trs, frames, codebook_dim)
MOST_BANDS = 512  # wider float tables are embeddings (1024) or bottlenecks (2048)

_MODES = {"encodec": "encodec", "mel": "mel", "mel_2d": "mel", "mel_3d": "mel"}
_UNITS = {"label": "encodec", "dB": "mel"}
_FIRST = ("format_version", "encoding_mode")  # if these differ, the others mean nothing
_FACTS = ("sample_rate", "frame_rate", "t_r", "framing", "codebook_size", "n_mels", "n_fft")


def unpack(features, attrs: Mapping | None = None) -> tuple[np.ndarray, dict]:
    """Array and attributes of features: an array, or an xarray DataArray or Dataset (``audio``).

    ``attrs`` come on top of what the features carry themselves.

    Raises
    ------
    ValueError
        A Dataset without ``audio``.
    """
    carried = dict(getattr(features, "attrs", {}))
    if hasattr(features, "data_vars"):
        if "audio" not in features:
            raise ValueError(f"the array set has no audio, only {', '.join(features) or 'nothing'}")
        features = features["audio"]
        carried |= features.attrs
    return without_mask(features, "features"), carried | dict(attrs or {})


def detect_format(features: np.ndarray, attrs: Mapping | None = None) -> str:
    """``encodec``, ``mel_3d`` or ``mel_2d``: by dtype and shape, and by ``attrs`` where given.

    ``attrs`` are what ``AudioProcessor.facts()`` gives; ``encoding_mode``, or else ``units``,
    decides. Without them, what might be something else is refused. Shape does not distinguish the
    average mel of a TR from other tables of at most 512 columns, BOLD of parcels for one: give
    ``attrs``.

    Raises
    ------
    TypeError, ValueError
        Not what ``attrs`` say; another dtype or rank; ambiguous. The message says which.

    >>> detect_format(np.zeros((20, 8, 112), dtype=np.int32))
    'encodec'
    >>> detect_format(np.zeros((20, 112, 128)), {"encoding_mode": "mel"})
    'mel_3d'
    """
    features, attrs = np.asarray(features), attrs or {}
    name = attrs.get("encoding_mode", _UNITS.get(str(attrs.get("units"))))
    if name is None:
        name = _guess(features)
    if name not in _MODES:
        raise ValueError(f"encoding_mode {name!r} is none of {', '.join(_MODES)}")
    mode = _MODES[name]
    if mode == "encodec":
        check_codes(features, codebook_size=int(attrs.get("codebook_size", 1024)))
    else:
        check_features(features)
    ranks = {"encodec": (3,), "mel": (2, 3), "mel_2d": (2,), "mel_3d": (3,)}[name]
    if features.ndim not in ranks or not features.size:
        also = " or the TRs' average (n_trs, n_mels)" if mode == "mel" else ""
        raise ValueError(
            f"{mode} features must have shape (n_trs, rows, frames_per_tr){also}, "
            f"got {features.shape}"
        )
    return mode if mode == "encodec" else f"mel_{features.ndim}d"


def _guess(features: np.ndarray) -> str:
    """``encodec`` or ``mel`` where nothing is stored that says which; an error if in doubt."""
    shape = features.shape
    if np.issubdtype(features.dtype, np.unsignedinteger):
        raise TypeError(
            f"{features.dtype} may be codes or quantised mel: codes are int32, and "
            "giblet.audio.quantized_mel.dequantize_mel turns quantised mel into dB"
        )
    if np.issubdtype(features.dtype, np.integer):
        return "encodec"
    if not np.issubdtype(features.dtype, np.floating):
        raise TypeError(f"features are codes (integers) or mel (floats), got {features.dtype}")
    if features.size and features.min() > -2 and (features == np.rint(features)).all():
        raise TypeError("floats that are all whole numbers may be codes: give codes as int32")
    if features.ndim == 3 and shape[2] in LATENT_SIZES:
        raise ValueError(
            f"floats {shape} may be codec latents (n_trs, frames, {shape[2]}) or mel: "
            "give attrs, AudioProcessor.facts() of what made them"
        )
    if features.ndim == 2 and shape[1] > MOST_BANDS:
        raise ValueError(
            f"floats {shape} may be embeddings, a bottleneck, BOLD or a mel stream (n_mels, "
            "n_frames): give attrs, AudioProcessor.facts() of what made them"
        )
    return "mel"


def check_stored(stored: Mapping, ours: Mapping) -> None:
    """Refuse features that something else made than the processor that is to decode them.

    ``stored`` are the attributes found with the features, ``ours`` is ``AudioProcessor.facts()``.
    What ``stored`` does not mention is not compared. Codes of a narrower bandwidth of the same
    codec pass: they are a prefix of the wider one's codebooks.

    Raises
    ------
    GibletError
        One line with every fact that differs: theirs, ours.
    """
    which = ("codec_revision",) if "codec_revision" in stored else ("codec",)
    for facts in (_FIRST, (*_FACTS, *which, "bandwidth_kbps")):
        both = [f for f in facts if f in stored and f in ours]
        differ = [f for f in both if not _same(f, stored[f], ours[f])]
        if differ:
            reasons = ", ".join(
                f"{f} {_described(f, stored)} (this AudioProcessor: {_described(f, ours)})"
                for f in differ
            )
            raise GibletError(
                f"the features were stored with {reasons}: make an AudioProcessor like "
                "the one that stored them, or extract them again"
            )


def _same(fact: str, theirs, ours) -> bool:
    if isinstance(theirs, str) or isinstance(ours, str):
        return str(theirs) == str(ours)
    if fact == "bandwidth_kbps":
        return theirs <= ours
    return bool(np.isclose(theirs, ours, rtol=1e-9, atol=0))


def _described(fact: str, facts: Mapping) -> str:
    name = f" of {facts['codec']}" if fact == "codec_revision" and "codec" in facts else ""
    return f"{facts[fact]}{name}"
