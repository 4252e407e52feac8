"""Variables, dimensions and attributes that files of arrays must have, by kind of file.

For ``giblet.io.arrays.load_arrays`` and ``open_arrays``.
"""

import json
import math
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from giblet.errors import GibletError

if TYPE_CHECKING:
    import xarray as xr

STREAM = ("stream", "t_r", "frame_rate", "framing", "n_trs")
SOUND = ("audio", "tr", "row", "frame", "t_r", "frame_rate", "framing", "encoding_mode")
PICTURES = ("video", "tr")
WORDS = ("text", "tr")
SCANS = ("bold", "volume", "film_time", "in_film", "subject", "run", "t_r", "source")
REGRESSORS = ("regressors", "volume", "t_r", "hrf_model", "fir_lags_seconds")
ALIGNED = ("audio", "tr", "row", "frame", "part", "run", "t_r", "encoding_mode", "codebook_size")
QUALITY = ("subject", "bold_source")
SCORE = ("onset", "duration", "pitch", "velocity", "tokens", "t_r", "n_trs", "score_offset")
BANK = ("code", "first_frame", "sound", "bank", "trs", "sounds")
CODES: tuple[str, ...] = ("packed", "codec", "codec_revision", "bandwidth_kbps")
CODES += ("n_codebooks", "n_frames", "n_samples")


def check_names(arrays: "xr.Dataset", path: str | Path, names: tuple[str, ...]) -> None:
    """``arrays`` hold all ``names``; of ``"video or text"`` one. Else GibletError."""
    names_there = {*arrays.variables, *arrays.dims, *arrays.attrs}
    if missing := [name for name in names if names_there.isdisjoint(name.split(" or "))]:
        has = ", ".join(map(str, arrays.variables)) or "no arrays"
        raise GibletError(f"{path}: has no {', '.join(missing)} but {has}. Is it the right file?")


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_amount(value: Any) -> bool:
    return isinstance(value, Real) and 0 <= value < math.inf


def _is_t_r(value: Any) -> bool:
    return isinstance(value, Real) and 0 < value <= 60


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    """A list of texts, as a file has it: in JSON; or as netCDF has it."""
    try:
        texts = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


_RULES = {
    _is_count: (
        "a whole number from 0 on",
        "n_trs n_codebooks n_frames n_samples codebook_size gap_trs stimulus_gap_trs frames_per_tr",
    ),
    _is_amount: ("a number from 0 on", "frame_rate bandwidth_kbps"),
    _is_t_r: ("seconds, above 0 and up to 60", "t_r"),
    _is_number: ("a number", "volume_offset lag_seconds lag_applied bend score_offset"),
    _is_text: (
        "text",
        "codec codec_revision source bold_source hrf_model framing encoding_mode stim_file",
    ),
    _is_texts: ("a list of texts in JSON", "warnings"),
}


_NUMBERS, _TEXT = "if", "UOT"
_KINDS = {_NUMBERS: "numbers", _TEXT: "text", "f": "floats", "i": "integers", "u": "bytes"}
_KINDS |= {"b": "true or false"}  # of numpy's types
_VARIABLES = {  # kinds, and how their dimensions begin
    "stream": (_NUMBERS, "row frame"),
    "audio": (_NUMBERS, "tr row frame"),
    "video": ("u", "tr picture height width"),
    "features": ("f", "tr moment"),
    "text": ("f", "tr feature"),
    "regressors": ("f", "volume feature or subject tr regressor"),
    "bold": ("f", ""),
    "film_time": ("f", "volume"),
    "film_start": (_NUMBERS, "volume"),
    "in_film": ("b", "volume"),
    "scrubbed": ("b", "volume"),
    "scan_time": (_NUMBERS, "volume"),
    "event_onset": (_NUMBERS, "event"),
    "event_duration": (_NUMBERS, "event"),
    "event_stimulus": ("i", "event"),
    "stimulus_first_tr": ("i", "stimulus"),
    "stimulus_duration": (_NUMBERS, "stimulus or tr"),
    "stimulus_start": (_NUMBERS, "stimulus or tr"),
    "volumes": ("i", "subject repeat tr"),
    "stimulus_rest": (_NUMBERS, "stimulus"),
    "subject": (_TEXT, "volume or subject"),
    "run": (_TEXT, "volume or tr"),
    "part": (_TEXT, "tr"),
    "tr": ("i", "tr"),
    "showing": ("i", "tr"),
    "n_frames": ("i", "tr"),
}
_TIMES = ("film_time", "film_start")  # few: they can be read where the rest is left on the disk
_FINITE = ("stream", "features", "text", "regressors", "audio", "n_frames")


def check_values(arrays: "xr.Dataset", path: str | Path) -> None:
    """Attributes, and types and dimensions of variables, are what giblet writes.

    Raises
    ------
    GibletError
        A TR of -1.5 s, a number of frames that is text, a film time of NaN, ...
    """
    for fits, (needed, names) in _RULES.items():
        for name in set(names.split()) & set(arrays.attrs):
            if not fits(value := arrays.attrs[name]):
                raise _wrong(path, name, needed, value)
    for name in arrays.variables.keys() & _VARIABLES.keys():
        (kinds, begins), variable = _VARIABLES[name], arrays[name]
        dims = " ".join(map(str, variable.dims))
        fit = any(f"{dims} ".startswith(f"{begin} ".lstrip()) for begin in begins.split(" or "))
        if variable.dtype.kind not in kinds or not fit:
            needed = f"{_KINDS[kinds]} along {begins or 'anything'}"
            raise _wrong(path, name, needed, f"{variable.dtype} along {dims}")
    check_finite(arrays, path, _TIMES)


def check_finite(arrays: "xr.Dataset", path: str | Path, names: tuple[str, ...] = _FINITE) -> None:
    """No NaN where it means nothing; reads these variables. Else GibletError."""
    for name in arrays.variables.keys() & set(names) - {"audio"}:  # NaN is a slot with no frame
        values = arrays[name].values
        if values.size and not (values.min() > -math.inf and values.max() < math.inf):
            raise _wrong(path, name, "finite numbers", "NaN or infinite somewhere")
    if {"audio", "n_frames"} <= {*names} & arrays.variables.keys():
        slots = np.arange(arrays.sizes["frame"]) < arrays["n_frames"].values[:, None]
        if not np.isfinite(np.moveaxis(arrays["audio"].values, 1, -1)[slots]).all():
            raise _wrong(path, "audio", "finite in every frame", "NaN or infinite somewhere")


def _wrong(path: str | Path, name: str, needed: str, value: object) -> GibletError:
    shown = value if isinstance(value, Real) else repr(value)[:60]
    return GibletError(f"{path}: {name} must be {needed}, is {shown}. Make the file again")
