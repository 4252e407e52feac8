"""Walks through a space of latents, and how attributes of the music change on the way.

Arrays of z have any shape whose last axis is the latent's width. A model's z is a dictionary:
level -> (n_segments, width).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.stats import spearmanr

from giblet.errors import GibletError
from giblet.music.attributes import ATTRIBUTES, attributes_of
from giblet.music.notes import Notes
from giblet.music.tokens import detokenize, tokenize

Kind = Literal["linear", "spherical"]


def traverse(z: np.ndarray, direction: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """``z`` (..., width) moved along ``direction`` (..., width): (n_steps, ..., width).

    >>> traverse(np.zeros(2), np.array([0.0, 1.0]), np.array([-1.0, 2.0])).tolist()
    [[0.0, -1.0], [0.0, 2.0]]
    """
    z, steps = np.asarray(z), np.asarray(steps)
    return z + steps.reshape(-1, *[1] * z.ndim) * np.asarray(direction)


def interpolate(
    a: np.ndarray, b: np.ndarray, shares: np.ndarray, kind: Kind = "spherical"
) -> np.ndarray:
    """Between ``a`` and ``b`` (..., width) at ``shares`` of the way: (n_shares, ..., width).

    ``spherical`` turns each vector (Shoemake 1985), so that its norm stays between those of its
    ends: the midpoint of two draws of a Gaussian is as far from 0 as they are (White 2016), and of
    a straight line it is not. Parallel vectors are joined by a line.

    >>> halfway = np.array([0.5])
    >>> interpolate(np.array([2.0, 0.0]), np.array([0.0, 2.0]), halfway, "linear").tolist()
    [[1.0, 1.0]]
    >>> interpolate(np.array([2.0, 0.0]), np.array([0.0, 2.0]), halfway).round(3).tolist()
    [[1.414, 1.414]]
    """
    a, b = np.asarray(a), np.asarray(b)
    shares = np.asarray(shares).reshape(-1, *[1] * a.ndim)
    linear = (1 - shares) * a + shares * b
    if kind == "linear":
        return linear
    norms = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b)]
    product = norms[0] * norms[1]
    cosine = (a * b).sum(-1, keepdims=True) / np.where(product > 0, product, 1.0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    turns = (sine > 1e-6) & (product > 0)
    safe = np.where(turns, sine, 1.0)
    turned = (np.sin((1 - shares) * angle) * a + np.sin(shares * angle) * b) / safe
    return np.where(turns, turned, linear)


def interpolate_levels(
    a: Mapping[str, np.ndarray],
    b: Mapping[str, np.ndarray],
    shares: np.ndarray,
    kind: Kind = "spherical",
) -> list[dict[str, np.ndarray]]:
    """Values of z of two pieces, interpolated on every level; of the shorter piece's length."""
    paths = {}
    for name in a:
        n = min(len(a[name]), len(b[name]))
        paths[name] = interpolate(a[name][:n], b[name][:n], shares, kind)
    return [{name: path[i] for name, path in paths.items()} for i in range(len(shares))]


def attribute_vector(z: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """Direction (width,) of more of an attribute (Roberts et al. 2018, MusicVAE).

    Mean z of the quarter of pieces with most of it less the mean of the quarter with least.

    Parameters
    ----------
    z : (n_pieces, width)
    attribute : (n_pieces,); pieces where it is NaN are left out

    Raises GibletError for less than 4 pieces, and where all have the same value.
    """
    attribute = np.asarray(attribute, np.float64)
    known = np.isfinite(attribute)
    z, attribute = np.asarray(z)[known], attribute[known]
    if len(attribute) < 4 or np.ptp(attribute) == 0:
        raise GibletError(
            f"attribute vector: at least 4 pieces with different values are needed, "
            f"got {len(attribute)}"
        )
    low, high = np.quantile(attribute, [0.25, 0.75])
    return z[attribute >= high].mean(0) - z[attribute <= low].mean(0)


def monotonicity(values: Sequence[float] | np.ndarray) -> float:
    """Spearman's correlation of values on a path with their order, positive if ends agree with it.

    1 for a path that always rises or always falls; below 0 if most of the path runs against the
    difference of its ends; NaN if both ends are equal or a value is NaN.

    >>> round(monotonicity([5.0, 4.0, 2.0, 1.0]), 3)
    1.0
    """
    path = np.asarray(values, np.float64)
    sign = np.sign(path[-1] - path[0])
    if not sign or np.isnan(path).any():
        return np.nan
    return float(sign * spearmanr(np.arange(len(path)), path).statistic)


def attributes_along(
    path: Sequence[Mapping[str, np.ndarray]],
    decode: Callable[[Mapping[str, np.ndarray]], Notes],
) -> dict[str, np.ndarray]:
    """Each attribute (n_steps,) of the music that ``decode`` makes of each z on a path."""
    rows = [attributes_of(decode(z)) for z in path]
    return {name: np.array([row[name] for row in rows]) for name in ATTRIBUTES}


def mix_tokens(a: np.ndarray, b: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Naive mixing of two pieces, which an interpolation must beat.

    The token at each place is ``b``'s with probability ``share``, else ``a``'s; as long as the
    shorter piece.

    >>> mix_tokens(np.array([1, 2, 3]), np.array([7, 8]), 1.0, np.random.default_rng(0)).tolist()
    [7, 8]
    """
    n = min(len(a), len(b))
    return np.where(rng.random(n) < share, b[:n], a[:n])


def midpoint_nats(
    nats: Callable[[np.ndarray], np.ndarray],
    midpoint: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Mean nats per token of an interpolation's midpoint, of naive mixing and of both ends.

    Parameters
    ----------
    nats : tokens (n,) -> (n,) nats of each, of a model that is not the decoder (the transformer)
    midpoint, a, b : tokens of the decoded midpoint and of the pieces at the ends
    rng : mixes
    """
    mixed = tokenize(detokenize(mix_tokens(a, b, 0.5, rng)))  # the notes that one would hear
    pieces = {"midpoint": midpoint, "mixed": mixed, "a": a, "b": b}
    return {name: float(np.mean(nats(tokens))) for name, tokens in pieces.items()}
