"""Scores of how far single latent numbers stand for single known factors: MIG, SAP and DCI.

All take ``codes`` (n, n_codes), for example posterior means, and the known ``factors``
(n, n_factors) behind them, and are 1 where each code is one factor. They raise GibletError where
the shapes do not fit or a factor is constant.
"""

from dataclasses import astuple, dataclass

import numpy as np
from sklearn.metrics import mutual_info_score

from giblet.errors import GibletError


@dataclass(frozen=True)
class Dci:
    """Disentanglement, completeness and informativeness."""

    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray, n_bins: int = 20) -> float:
    """MIG (Chen et al. 2018): how much more the best code knows of a factor than the second.

    Mutual information relative to the factor's entropy, a mean over factors. Information is
    counted in a histogram with ``n_bins`` bins of equal width, as Locatello et al. (2019) do; a
    factor with at most ``n_bins`` values is taken as it is. About 50 samples a bin are needed.

    >>> factors = np.stack(np.meshgrid([0, 1, 2], [0, 1]), -1).reshape(-1, 2)
    >>> round(mutual_information_gap(factors[:, ::-1], factors), 3)
    1.0
    """
    codes, factors = _check(codes, factors)
    binned = [_bins(code, n_bins) for code in codes.T]
    gaps = []
    for factor in factors.T:
        few = len(np.unique(factor)) <= n_bins
        labels = np.unique(factor, return_inverse=True)[1] if few else _bins(factor, n_bins)
        information = np.array([mutual_info_score(labels, code) for code in binned])
        gaps.append(_gap(information) / mutual_info_score(labels, labels))
    return float(np.mean(gaps))


def separated_attribute_predictability(codes: np.ndarray, factors: np.ndarray) -> float:
    """SAP (Kumar et al. 2018): how much better the best code predicts a factor than the second.

    The squared correlation of a code and a factor is the R² of its linear prediction; the gap is
    a mean over factors. A factor of two values is taken as a number, too.

    >>> factors = np.stack(np.meshgrid([0, 1, 2], [0, 1]), -1).reshape(-1, 2)
    >>> round(separated_attribute_predictability(factors, factors), 3)
    1.0
    """
    codes, factors = _check(codes, factors)
    r_squared = (_standardized(codes).T @ _standardized(factors) / len(codes)) ** 2
    return float(np.mean([_gap(column) for column in r_squared.T]))


def dci(codes: np.ndarray, factors: np.ndarray) -> Dci:
    """DCI (Eastwood & Williams 2018), with a linear regression of each factor on all codes.

    A code's importance for a factor is its absolute weight, of standardized codes and factors.
    Disentanglement: each code matters for one factor alone (1 less the entropy of its row of
    importances, weighted by the row's sum). Completeness: each factor needs one code alone.
    Informativeness: R² of the predictions of left-out samples, at least 0, a mean over factors.

    Chance is not 0: with four factors, random weights have a disentanglement of about .16,
    whatever the number of codes and of samples. See `dci_above_chance`.

    >>> factors = np.stack(np.meshgrid([0, 1, 2], [0, 1, 2]), -1).reshape(-1, 2)
    >>> dci(factors, factors).completeness
    1.0
    """
    codes, factors = _check(codes, factors)
    return _dci(_basis(codes), _standardized(factors))


def dci_above_chance(
    codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator, n_permutations: int = 20
) -> Dci:
    """DCI beyond chance: 0 for codes that mix all factors at random, still 1 for the factors.

    ``(score - chance) / (1 - chance)``, as the adjusted Rand index has it (Hubert & Arabie 1985);
    below 0 for codes that mix them more evenly. Chance is the mean score of the same codes with
    the samples of each factor in random order, which ``rng`` draws.

    >>> factors = np.stack(np.meshgrid([0, 1, 2], [0, 1, 2]), -1).reshape(-1, 2)
    >>> round(dci_above_chance(factors, factors, np.random.default_rng(0)).disentanglement, 3)
    1.0
    """
    codes, factors = _check(codes, factors)
    basis, y = _basis(codes), _standardized(factors)
    draws = [_dci(basis, rng.permuted(y, axis=0)) for _ in range(n_permutations)]
    raw, chance = astuple(_dci(basis, y)), np.mean([astuple(draw) for draw in draws], axis=0)
    room = np.maximum(1 - chance, 1e-9)
    return Dci(*((np.array(raw) - chance) / room).tolist())


def _basis(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition of standardized codes, without what does not vary."""
    u, s, vt = np.linalg.svd(_standardized(codes), full_matrices=False)
    used = s > 1e-8 * s.max(initial=0.0)
    return u[:, used], s[used], vt[used]


def _dci(basis: tuple[np.ndarray, np.ndarray, np.ndarray], y: np.ndarray) -> Dci:
    """Of standardized codes and factors."""
    u, s, vt = basis
    weights = vt.T @ ((u.T @ y) / s[:, None])
    importance = np.where(np.abs(weights) > 1e-8, np.abs(weights), 0.0)

    # an error without the sample itself follows from the leverages (Allen's PRESS)
    leverage = 1 / len(y) + np.square(u).sum(1)
    residuals = (y - u @ (u.T @ y)) / np.maximum(1 - leverage, 1e-8)[:, None]
    r_squared = 1 - np.square(residuals).mean(0)

    rows = importance.sum(1)
    by_code = 1 - _entropy(importance.T)
    disentanglement = (by_code * rows).sum() / rows.sum() if rows.any() else 0.0
    completeness = (1 - _entropy(importance)).mean()
    return Dci(
        float(disentanglement), float(completeness), float(np.maximum(r_squared, 0.0).mean())
    )


def _check(codes: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes, factors = np.asarray(codes, np.float64), np.asarray(factors, np.float64)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise GibletError(
            f"disentanglement: shapes must be (n, n_codes) and (n, n_factors), "
            f"got {codes.shape} and {factors.shape}"
        )
    if not (np.isfinite(codes).all() and np.isfinite(factors).all()):
        raise GibletError("disentanglement: codes and factors must be finite")
    constant = np.flatnonzero(np.ptp(factors, axis=0) == 0)
    if len(constant):
        raise GibletError(f"disentanglement: factor {constant[0]} is constant; leave it out")
    return codes, factors


def _bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    edges = np.linspace(values.min(), values.max(), n_bins + 1)
    return np.digitize(values, edges[1:-1])


def _standardized(columns: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1; constant ones are 0."""
    centred = columns - columns.mean(0)
    scale = centred.std(0)
    return np.where(scale > 1e-12, centred / np.where(scale > 1e-12, scale, 1.0), 0.0)


def _gap(scores: np.ndarray) -> float:
    """Largest less second; a single score less 0."""
    ordered = np.sort(np.append(scores, 0.0))
    return float(ordered[-1] - ordered[-2])


def _entropy(weights: np.ndarray) -> np.ndarray:
    """Of each column's shares, relative to the largest possible; 1 where all are 0."""
    total = weights.sum(0)
    shares = weights / np.where(total > 0, total, 1.0)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    largest = np.log(max(len(weights), 2))
    return np.where(total > 0, -(shares * logs).sum(0) / largest, 1.0)
