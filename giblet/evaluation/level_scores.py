"""The profile of levels: encoding and decoding scores of every codebook and layer, by region."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from giblet.alignment.dataset import FilmData
from giblet.alignment.hrf import HRF_SECONDS
from giblet.alignment.voxels import reliable_voxels
from giblet.audio.metrics.identify import (
    identification_shares,
    identification_shares_p,
    join_clips,
)
from giblet.config.sections import DecodingConfig
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import held_out_stretches
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.evaluation.nulls import null_shifts, shifted_shares
from giblet.io.tables import join_values
from giblet.stats.cross_validation import INNER_FOLDS, purged_folds
from giblet.stats.encoding_maps import ClockGroup, Fold, centred_by_run
from giblet.stats.level_encoding import RELIABLE, Key, RegionScores, encode_levels
from giblet.stats.ridge import fit_ridge, folds_within, scale_by_training
from giblet.timing import trs_for

N_WAYS = (10, 2)
SCORES = ("r", "unique", *(f"identification_{n}way" for n in N_WAYS))
_PARTS = ("", "_low", "_high", "_null_low", "_null_high", "_p", "_by_subject")
COLUMNS = ["region", "n_voxels", "space", "level", "n_features", "n_subjects"]
COLUMNS += [f"r{part}" for part in _PARTS] + ["ceiling", "ceiling_share"]
COLUMNS += [f"{score}{part}" for score in SCORES[1:] for part in _PARTS]
COLUMNS.remove("unique_p")  # where a level changes the penalty of the others, shifts are no null
_FEWEST_VOXELS = 2  # of a region that is decoded from


def level_profile(
    groups: Sequence[ClockGroup],
    targets: Mapping[Key, np.ndarray],
    data: FilmData,
    regions: Mapping[str, np.ndarray],
    ceiling: np.ndarray,
    t_r: float,
    decoding: DecodingConfig,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per region and level, columns ``COLUMNS``; fitted on training, scored on test TRs.

    Parameters
    ----------
    groups
        ``bands``: (space, level) → (n_trs, n_features), convolved with the HRF; centred here by
        run, on training TRs, as BOLD is.
    targets
        (space, level) → (n_trs, n_features), means over the TRs, not convolved: these are decoded.
    data
        BOLD, z-scored by training TRs, and the part and run of each TR.
    regions
        Name → (n_voxels,) bool; `RELIABLE` comes first and is added here.
    ceiling : (n_subjects, n_voxels)
        Largest r of a model of what repeats; NaN where it is unknown.
    t_r : s
    decoding
        Lags, share of reliable voxels, clip length and number of permutations.

    Returns
    -------
    ``r``, ``unique`` (see `encode_levels`) and ``identification_10way``, ``…_2way`` of clips: means
    over subjects, with the 95 % interval of Student's t over subjects. ``…_null_low``,
    ``…_null_high``: 2.5 and 97.5 % of the scores under circular shifts by 16 s or more: of r and
    ``unique`` all such shifts of TRs (`giblet.stats.level_encoding.shifted_gain`), of
    identification up to 100 of clips. ``…_p``, one-sided: of r the share of all shifts, the
    observed one included, that score as high; of identification by permutations of the clips; of
    ``unique`` none. ``…_by_subject``: values of single subjects in a text, see
    `giblet.io.tables.split_values`. ``ceiling_share`` is r over ``ceiling``, both means over
    voxels. Regions of a single voxel or parcel are not decoded from.

    Raises
    ------
    GibletError
        No BOLD, or too few training TRs for folds with a gap as long as the HRF.
    """
    if data.bold is None:
        raise GibletError("a profile of levels needs BOLD: name scans as bold")
    bold, train, test = data.bold.numpy(), data.where("train"), data.where("test")
    reliable = np.zeros(bold.shape[2], dtype=bool)
    reliable[reliable_voxels(bold[:, train], decoding.voxel_share)] = True
    used = {RELIABLE: reliable} | {n: m for n, m in regions.items() if m.any()}
    scored = np.any([*used.values()], axis=0)
    within = {name: members[scored] for name, members in used.items()}
    fold = Fold(train, test, _inner_folds(data, train, t_r))
    groups = centred_by_run(groups, data.scaled_by, data.part == "train")
    limits = {name: _mean_ceiling(ceiling[:, members]) for name, members in used.items()}
    decoded = {
        name: _identified(bold[..., members], targets, data, t_r, decoding, seed)
        for name, members in used.items()
        if members.sum() >= _FEWEST_VOXELS
    }
    away = null_shifts(len(test), t_r, seed, n_most=len(test))
    rows = []
    for key, r, unique in encode_levels(groups, bold[..., scored], fold, within):
        for place, (name, members) in enumerate(used.items()):
            row = {"region": name, "n_voxels": int(members.sum())}
            row |= {"space": key[0], "level": key[1], "n_features": targets[key].shape[1]}
            row |= {"n_subjects": len(bold), "ceiling": limits[name]}
            row |= _shifted_cells("r", r, place, away)
            row["ceiling_share"] = row["r"] / limits[name] if limits[name] > 0 else np.nan
            row |= _shifted_cells("unique", unique, place, away)
            rows.append(row | decoded.get(name, {}).get(key, {}))
    return (
        pd.DataFrame(rows)
        .reindex(columns=COLUMNS)
        .sort_values("region", kind="stable", key=_order(used))
    )


def _order(used: Mapping[str, np.ndarray]):
    places = {name: place for place, name in enumerate(used)}
    return lambda regions: regions.map(places)


def _inner_folds(data: FilmData, train: np.ndarray, t_r: float) -> list:
    """Whole stimuli, or blocks of a film's training TRs, with a gap, to choose penalties."""
    if folds := data.penalty_folds(train):
        return list(folds)
    try:
        return purged_folds(np.zeros(len(data.part)), trs_for(HRF_SECONDS, t_r), INNER_FOLDS, train)
    except ValueError as error:
        raise GibletError(f"too few training TRs to choose penalties: {error}") from None


def _mean_ceiling(ceiling: np.ndarray) -> float:
    return float(np.nanmean(ceiling)) if np.isfinite(ceiling).any() else np.nan


def _shifted_cells(score: str, scores: RegionScores | None, place: int, away: np.ndarray) -> dict:
    """The cells of a score of one region; ``away``: shifts that are far from 0."""
    if scores is None:
        return {}
    shifted = scores.shifted[place]
    p = float((shifted >= shifted[0] - 1e-12).mean()) if np.isfinite(shifted[0]) else np.nan
    return _cells(score, scores.by_subject[place], shifted[away], p)


def _cells(score: str, by_subject: np.ndarray, nulls: np.ndarray, p: float) -> dict:
    values = by_subject[np.isfinite(by_subject)]
    low, high = np.quantile(nulls, [0.025, 0.975]) if len(nulls) else (np.nan, np.nan)
    mean = values.mean() if len(values) else np.nan
    row = [mean, *_interval(values), low, high, p, join_values(by_subject)]
    return {f"{score}{part}": value for part, value in zip(_PARTS, row, strict=True)}


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean by Student's t; NaN of fewer than two.

    >>> low, high = _interval(np.array([0.1, 0.2, 0.3]))
    >>> round(low, 3), round(high, 3)
    (-0.048, 0.448)
    """
    from scipy.stats import t

    if len(values) < 2:
        return np.nan, np.nan
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _identified(
    bold: np.ndarray,
    targets: Mapping[Key, np.ndarray],
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    seed: int,
) -> dict[Key, dict]:
    """Cells of identification of held-out clips, by level; ``bold`` of one region."""
    train, test, lags = data.where("train"), data.where("test"), lags_in_trs(t_r, decoding)
    scaled = [scale_by_training(values, train) for values in targets.values()]
    ends = np.cumsum([values.shape[1] for values in scaled])[:-1]
    together, decoded = np.concatenate(scaled, axis=1), []
    for subject, one in enumerate(bold):
        x = lagged(one, data.run, lags)
        folds = folds_within(data.penalty_folds(train, subject), train)
        ridge = fit_ridge(x[train], together[train], folds)
        decoded.append(np.split(ridge.predict(x[test]), ends, axis=1))
    clip_trs, stretches = trs_for(decoding.clip_seconds, t_r), held_out_stretches(data)
    cells: dict[Key, dict] = {}
    for place, key in enumerate(targets):
        truth = join_clips(scaled[place][test], stretches, clip_trs)
        guesses = [join_clips(own[place], stretches, clip_trs) for own in decoded]
        shifts = null_shifts(len(truth), decoding.clip_seconds, seed)
        cells[key] = {}
        for n_way in N_WAYS:
            if len(truth) < n_way:
                continue
            shares = np.stack([identification_shares(g, truth, n_way) for g in guesses])
            nulls = shifted_shares(shares, shifts).mean(axis=(1, 2))
            own = shares.diagonal(axis1=1, axis2=2).mean(axis=1)
            p = identification_shares_p(shares, decoding.n_permutations, seed)
            cells[key] |= _cells(f"identification_{n_way}way", own, nulls, p)
    return cells
