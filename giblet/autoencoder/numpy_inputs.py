"""Film and bottlenecks as NumPy arrays: checked, and turned into a model's tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from giblet.alignment.shapes import Shapes
from giblet.errors import nearest_name


def is_film(film: object) -> bool:
    """Whether ``film`` is what a model takes as it is: a dict of tensors."""
    return isinstance(film, dict) and all(isinstance(v, torch.Tensor) for v in film.values())


def film_tensors(film: Any, shapes: Shapes, modalities: list[str]) -> dict[str, torch.Tensor]:
    """A film as a dict of tensors.

    Parameters
    ----------
    film
        Features of sound (n_trs, n_rows, frames_per_tr) alone, or modality → features, as arrays of
        NumPy or xarray, or tensors.
    shapes
        Of the model.
    modalities
        That the model encodes.

    Raises
    ------
    TypeError
        Neither of these; none of ``modalities`` is in it, or one is misspelt.
    ValueError
        Features of another shape or kind than the model was trained on, or of other numbers of
        TRs; NaN in what is not sound (in sound it marks a frame that is not there, as -1 does).
    """
    named = film if isinstance(film, Mapping) else {"audio": film}
    expected = {name: _expected(shapes, name) for name in modalities}
    if not isinstance(film, Mapping) and not hasattr(film, "__array__"):
        raise TypeError(f"encode takes {_listed(expected)}, not {type(film).__name__}")
    if not named.keys() & expected.keys():
        given = ", ".join(map(str, named)) or "nothing"
        raise TypeError(f"encode takes {_listed(expected)}; there is {given} instead")
    absent = [name for name in expected if name not in named]
    for name in named.keys() - expected.keys():
        if near := nearest_name(str(name), absent):
            raise TypeError(f"the model has no modality {name}{near}")
    tensors = {
        name: _checked(values, name, shapes, expected[name])
        for name, values in named.items()
        if name in expected
    }
    lengths = {name: len(values) for name, values in tensors.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"modalities must be of the same TRs, not of {listed}")
    return tensors


def bottleneck_tensor(bottleneck: Any, width: int) -> torch.Tensor:
    """Bottlenecks (n_trs, bottleneck_dim) as a float32 tensor.

    TypeError for what is no array, ValueError for another shape than ``width`` features and for
    NaN or infinite values: a decoder would make some sound of them.
    """
    if not hasattr(bottleneck, "__array__"):
        name = type(bottleneck).__name__
        raise TypeError(f"decode_audio takes bottlenecks (n_trs, {width}) float32, not {name}")
    values = np.asarray(bottleneck)
    if values.ndim != 2 or values.shape[1] != width or values.dtype.kind not in "fiu":
        raise ValueError(
            f"bottlenecks must be (n_trs, {width}) float32, not {values.shape} {values.dtype}"
        )
    values = np.array(values, dtype=np.float32)
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).any(axis=1).sum())
        raise ValueError(f"bottlenecks have NaN or infinite values in {n_bad} of {len(values)} TRs")
    return torch.from_numpy(values)


def _size(shapes: Shapes, modality: str) -> tuple[int, ...]:
    """Shape of a modality's features in one TR; pictures have three colours."""
    size = shapes.of(modality) or (shapes.n_blurred,)
    return (*size, 3) if modality == "video" else size


def _expected(shapes: Shapes, modality: str) -> str:
    """The shape and kind of a modality's features, in words."""
    size = ", ".join(map(str, _size(shapes, modality)))
    kind = "int32 codes" if modality == "audio" and shapes.use_encodec else "numbers"
    kind = "uint8" if modality == "video" else kind
    return f"(n_trs, {size}) {kind}"


def _listed(expected: Mapping[str, str]) -> str:
    """
    >>> _listed({"audio": "(n_trs, 8, 112) int32 codes"})
    "an array of audio (n_trs, 8, 112) int32 codes, or a dict {'audio': array}"
    """
    keys = ", ".join(f"{name!r}: array" for name in expected)
    first, text = next(iter(expected.items()))
    return f"an array of {first} {text}, or a dict {{{keys}}}"


def _checked(values: Any, name: str, shapes: Shapes, expected: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values
    if not hasattr(values, "__array__"):
        raise TypeError(f"{name} must be an array, not {type(values).__name__}")
    array = np.asarray(values)
    is_codes, is_video = name == "audio" and shapes.use_encodec, name == "video"
    kinds = "iu" if is_codes else "fiu"
    is_right = array.dtype == np.uint8 if is_video else array.dtype.kind in kinds
    if array.shape[1:] != _size(shapes, name) or not is_right:
        raise ValueError(f"{name} must be {expected}, not {array.shape} {array.dtype}")
    if is_video:
        return torch.from_numpy(np.array(array))
    if is_codes:
        if array.size and not -1 <= array.min() <= array.max() < shapes.codebook_size:
            highest = shapes.codebook_size - 1
            raise ValueError(f"{name}: codes must be 0 to {highest}, or -1 where there is no frame")
        return torch.from_numpy(np.array(array, dtype=np.int32))
    return torch.from_numpy(_without_gaps(np.array(array, dtype=np.float32), name))


def _without_gaps(array: np.ndarray, name: str) -> np.ndarray:
    """``array`` (n_trs, …) if its values are finite; of sound frames may be NaN in all rows."""
    bad = ~np.isfinite(array)
    if name == "audio":
        bad &= ~np.isnan(array).all(axis=1, keepdims=True)
    if bad.any():
        raise ValueError(f"{name} has {bad.sum()} NaN or infinite values")
    return array
