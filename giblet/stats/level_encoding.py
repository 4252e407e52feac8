"""Ridge from levels of features: r of each, variance that it alone explains, and nulls of both.

A level is a codebook or a layer, for instance; the levels of one space are compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.stats.encoding_maps import ClockGroup, Fold, predict_fold
from giblet.stats.feature_ridge import directions
from giblet.stats.pearson import FLAT
from giblet.stats.permutation import shifted_correlation
from giblet.stats.ridge import band_columns

LEVEL_SHARES = np.array([[0.5], [0.01], [0.1], [0.9], [0.99]])  # of a level beside the others
_TARGETS = 2000  # columns of BOLD in memory at once for all shifts

RELIABLE = "reliable"  # region: the voxels of highest ISC in training TRs

Key = tuple[str, str]  # space, level


@dataclass(frozen=True)
class RegionScores:
    """A score of regions: means over their voxels that have one.

    by_subject : (n_regions, n_subjects)
    shifted : (n_regions, n_shifts), mean over subjects, of what the level predicts, shifted
        circularly by as many TRs; the first is the score itself
    """

    by_subject: np.ndarray
    shifted: np.ndarray


def encode_levels(
    groups: Sequence[ClockGroup],
    bold: np.ndarray,
    fold: Fold,
    regions: Mapping[str, np.ndarray],
) -> Iterator[tuple[Key, RegionScores, RegionScores | None]]:
    """Each level with its r and its unique variance on held-out TRs, level by level.

    Parameters
    ----------
    groups
        ``bands``: (space, level) → (n_trs, n_features), convolved with the HRF.
    bold : (n_subjects, n_trs, n_voxels) z-scored
    fold
        Training TRs, test TRs, and folds to choose penalties.
    regions
        Name → (n_voxels,) bool.

    Yields
    ------
    key, r, unique
        ``r`` of ridge from the level alone. ``unique``: R² of the level and all others of its
        space, as two bands, minus R² of the others; None where its space has no others.
    """
    columns = [{k: band_columns(v, fold.train) for k, v in g.bands.items()} for g in groups]
    members, measured = np.stack([*regions.values()]), bold[:, fold.test]
    for key in groups[0].bands if groups else ():
        alone = predict_fold([[own[key]] for own in columns], bold, groups, fold)
        others = [other for other in groups[0].bands if other[0] == key[0] and other != key]
        unique = None
        if others:
            rest = [_joined([own[other] for other in others], fold.train) for own in columns]
            without = predict_fold([[one] for one in rest], bold, groups, fold)
            pairs = [[own[key], one] for own, one in zip(columns, rest, strict=True)]
            mixtures = np.hstack([LEVEL_SHARES, 1 - LEVEL_SHARES])
            both = predict_fold(pairs, bold, groups, fold, mixtures=mixtures)
            unique = _over_regions(shifted_gain, members, measured, both, without)
        yield key, _over_regions(_shifted_r, members, measured, alone), unique


def _joined(columns: Sequence[np.ndarray], train: np.ndarray) -> np.ndarray:
    """Bands (n_trs, rank) as one, whose kernel is the mean of theirs."""
    together = np.concatenate(columns, axis=1) / np.sqrt(len(columns))
    return (together @ directions(together[train])).astype(np.float32)


def _shifted_r(bold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return shifted_correlation(predicted[None], bold[None])[0]


def shifted_gain(bold: np.ndarray, both: np.ndarray, without: np.ndarray) -> np.ndarray:
    """R² of a prediction minus R² of another, as it is and under every circular shift in TRs.

    All (n_trs, n_voxels), also the result. Row 0 is the gain. Row ``k`` is the gain if what
    ``both`` adds to ``without`` is rolled by ``k``: the part of BOLD that ``without`` leaves stays
    where it is. NaN where BOLD is constant or has NaN. By FFT.

    >>> bold = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    >>> shifted_gain(bold, bold, np.zeros_like(bold)).round(3).ravel().tolist()
    [1.0, -2.8, 0.6, -2.8]
    """
    finite = np.isfinite(bold).all(axis=0) & np.isfinite(both + without).all(axis=0)
    y, both, without = (np.where(finite, v, 0.0).astype(float) for v in (bold, both, without))
    left, added = y - without, both - without
    spectrum = np.fft.rfft(added, axis=0).conj() * np.fft.rfft(left, axis=0)
    gained = 2 * np.fft.irfft(spectrum, n=len(y), axis=0) - (added**2).sum(axis=0)
    whole = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    varies = finite & (whole > FLAT**2 * (y**2).sum(axis=0))
    return np.where(varies, gained / np.where(varies, whole, 1.0), np.nan)


def _over_regions(score, members: np.ndarray, bold: np.ndarray, *predicted) -> RegionScores:
    """``score(bold, *predicted)`` → (n_shifts, n_voxels) of each subject, in blocks of voxels."""
    n_subjects, n_shifts, n_voxels = bold.shape
    means = np.empty((n_subjects, len(members), n_shifts))
    for s in range(n_subjects):
        total, count = np.zeros((len(members), n_shifts)), np.zeros(len(members))
        for start in range(0, n_voxels, _TARGETS):
            part = slice(start, start + _TARGETS)
            scores = score(bold[s, :, part], *(one[s, :, part] for one in predicted))
            finite = np.isfinite(scores).all(axis=0)
            inside = (members[:, part] & finite).astype(float)
            total += inside @ np.where(finite, scores, 0.0).T
            count += inside.sum(axis=1)
        few = count[:, None]
        means[s] = np.divide(total, few, out=np.full_like(total, np.nan), where=few > 0)
    present = np.isfinite(means)
    total, n = np.where(present, means, 0.0).sum(axis=0), present.sum(axis=0)
    shifted = np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
    return RegionScores(means[..., 0].T, shifted)


def peak_levels(profile: pd.DataFrame, score: str = "r") -> pd.DataFrame:
    """The level with the largest ``score`` of each region and space that has several levels.

    Rows of ``profile``, which has ``region space level`` and ``score``. Neighbouring levels are
    alike: the level that the brain follows may be the one before or after.
    """
    several = profile.groupby(["region", "space"], sort=False)["level"].transform("size") > 1
    known = profile[several & profile[score].notna()]
    return known.loc[known.groupby(["region", "space"], sort=False)[score].idxmax()]
