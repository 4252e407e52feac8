"""Film and bottlenecks as NumPy arrays: checked, and turned into a model's tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from giblet.alignment.shapes import Shapes


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
        Neither of these; none of ``modalities`` is in it.
    ValueError
        Features of another shape or kind than the model was trained on.
    """
    named = film if isinstance(film, Mapping) else {"audio": film}
    expected = {name: _expected(shapes, name) for name in modalities}
    if not isinstance(film, Mapping) and not hasattr(film, "__array__"):
        raise TypeError(f"encode takes {_listed(expected)}, not {type(film).__name__}")
    if not named.keys() & expected.keys():
        given = ", ".join(map(str, named)) or "nothing"
        raise TypeError(f"encode takes {_listed(expected)}; there is {given} instead")
    return {
        name: _checked(values, name, shapes, expected[name])
        for name, values in named.items()
        if name in expected
    }


def bottleneck_tensor(bottleneck: Any, width: int) -> torch.Tensor:
    """Bottlenecks (n_trs, bottleneck_dim) as a float32 tensor.

    TypeError for what is no array, ValueError for another shape than ``width`` features.
    """
    if not hasattr(bottleneck, "__array__"):
        name = type(bottleneck).__name__
        raise TypeError(f"decode_audio takes bottlenecks (n_trs, {width}) float32, not {name}")
    values = np.asarray(bottleneck)
    if values.ndim != 2 or values.shape[1] != width or values.dtype.kind not in "fiu":
        raise ValueError(
            f"bottlenecks must be (n_trs, {width}) float32, not {values.shape} {values.dtype}"
        )
    return torch.from_numpy(np.array(values, dtype=np.float32))


def _expected(shapes: Shapes, modality: str) -> str:
    """The shape and kind of a modality's features, in words."""
    size = ", ".join(map(str, shapes.of(modality) or (shapes.n_blurred,)))
    kind = "int32 codes" if modality == "audio" and shapes.use_encodec else "numbers"
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
    size = shapes.of(name) or (shapes.n_blurred,)
    is_codes = name == "audio" and shapes.use_encodec
    if array.shape[1:] != tuple(size) or array.dtype.kind not in ("iu" if is_codes else "fiu"):
        raise ValueError(f"{name} must be {expected}, not {array.shape} {array.dtype}")
    if is_codes:
        if array.size and not 0 <= array.min() <= array.max() < shapes.codebook_size:
            raise ValueError(f"{name}: codes must be 0 to {shapes.codebook_size - 1}")
        return torch.from_numpy(np.array(array, dtype=np.int32))
    keeps_type = array.dtype == np.uint8  # video frames
    return torch.from_numpy(np.array(array, dtype=None if keeps_type else np.float32))
