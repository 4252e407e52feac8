"""Quality of scans without any network: ISC, noise ceiling, ridge encoding, lag, motion."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from giblet.alignment.dataset import zscore_bold
from giblet.alignment.lag import lag_arrays, scan_lag
from giblet.alignment.own_runs import clock_groups, scaled_volumes
from giblet.alignment.showings import volume_trs
from giblet.alignment.stimulus_folds import music_of
from giblet.alignment.sync import Match, match_scans
from giblet.alignment.voxels import BLOCK_VALUES, most_shared, read_columns, voxel_blocks
from giblet.brain.cortex import why_no_edges
from giblet.brain.neighbours import neighbours
from giblet.evaluation.encoding_folds import ridge_folds
from giblet.evaluation.fold_maps import with_fold_intervals
from giblet.evaluation.group_maps import LARGEST_P, group_maps, null_counts, nulls_of_blocks
from giblet.evaluation.ridge_maps import ridge_maps
from giblet.film.text import NO_WORDS
from giblet.stats.encoding_maps import (
    ClockGroup,
    centred_by_run,
    constant_bands,
)
from giblet.stats.intersubject import agreement, explainable_variance, repeat_ceiling
from giblet.stats.permutation import false_discovery_rate

MOVING_MM = 0.5  # framewise displacement of a volume that Power et al. (2012) would leave out
MOST_PARCELS = 2000  # of a table that names them; more are vertices
_FEWEST_REPEATED = 10  # TRs
_LAG_VOXELS = 4096  # in memory at once for all TRs


def brain_quality(
    scans: xr.Dataset,
    regressors: Mapping[str, xr.Dataset],
    t_r: float,
    levels: np.ndarray | None = None,
    n_permutations: int = 200,
    n_shifts: int = 5000,
    n_iter: int = 20,
    max_trs: int | None = None,
    max_voxels: int | None = None,
    seed: int = 0,
    block_values: int = BLOCK_VALUES,
    n_shift_maps: int = 500,
    n_folds: int = 1,
) -> xr.Dataset:
    """Maps of inter-subject correlation and of ridge from the film, over all TRs that all saw.

    What was scanned after the last TR of the film's sound or video is left out.

    Parameters
    ----------
    scans
        As ``giblet.brain.load_bids``, ``load_runs`` or ``giblet.io.arrays.open_arrays`` return
        them: ``bold`` is read in blocks of voxels.
    regressors
        Modality → array set of ``film_regressors``; empty ones are left out. Feature spaces of one
        modality are bands of their own.
    levels
        Of the film's sound (``giblet.alignment.lag.sound_levels``); None: no lag is estimated.
    n_permutations, n_shifts
        Nulls of the ISC, and of ridge.
    n_iter
        Mixtures of modalities that banded ridge tries, about: see `giblet.stats.band_mixtures`.
    max_trs
        No more of the film than these.
    max_voxels
        Of more, ridge is computed for those with the highest ISC; of one subject, for all.
    block_values
        Numbers of ``bold`` in memory at once: n_volumes × the block's voxels.
    n_shift_maps
        Of the ``n_shifts``, as many are maps of the whole brain for `group_maps`; 0: no p of ridge
        is corrected over the brain.
    n_folds
        1: ridge leaves out each run in turn, or a fifth of a single one. More: the folds of
        `giblet.stats.cross_validation.fold_labels`, and intervals over them.

    Returns
    -------
    Along ``voxel`` (or parcels: ``voxel`` with their names), of BOLD z-scored by run: the maps of
    ``agreement`` where there are two subjects or more, those of ``linear_maps`` for the modalities
    and ``n_words``, the gap being the HRF's length, and for each ``..._p`` a ``..._q`` (voxel), the
    false discovery rate; NaN in voxels without ridge. Those of `group_maps`. With ``n_folds``
    ``low_<map>`` and ``high_<map>`` (voxel), the 95 % interval over folds of the mean over
    subjects of each ``r_…``, ``r2_all`` and ``unique_…``, and ``fold_<map>`` (fold), its mean over
    voxels in each fold.

    Of many stimuli of which some were presented again: ``repeat_variance`` (subject, voxel), the
    share of one presentation's variance that repeats, ``n_repeats`` (subject), and the largest r of
    a model with one presentation and with their mean, ``ceiling_single`` and ``ceiling_repeats``.

    Where the scans have them: ``tsnr`` (subject, voxel), mean over a subject's runs;
    ``framewise_displacement`` (subject) mm, mean over volumes, and ``moving_share`` (subject), of
    the volumes that moved by more than 0.5 mm. Of the subjects' mean, in the voxels with the
    highest ISC: ``lag`` and the rest of ``lag_arrays``; attribute ``lag_applied``: s by which the
    scans were shifted before. ``warnings`` say what seems wrong, and whether ridge is left out
    because there are too few TRs to hold some out.

    Raises
    ------
    GibletError
        As ``match_scans``.
    """
    n_scanned = int(volume_trs(scans, t_r).max()) + 1
    n_trs = min([n_scanned, *_film_trs(regressors), *([max_trs] if max_trs else [])])
    match = match_scans(scans, t_r, n_trs)
    bands = _bands(regressors)
    options = (n_folds, music_of(regressors.values()))
    folds, warnings = ridge_folds(match, scans, t_r, *options) if bands else ([], [])
    bands = bands if folds else {}
    warnings = match.warnings + warnings
    if match.stimulus is None:
        warnings += after_film_warnings(n_scanned, n_trs, max_trs)
    warnings += [] if "text" in regressors else [NO_WORDS]
    groups = clock_groups(bands, match, scans["film_time"].values)
    groups = centred_by_run(groups, match.runs)
    for name in (still := constant_bands(groups)):
        warnings.append(f"{name} does not vary within any run: left out of ridge")
    groups = [ClockGroup(g.subjects, _without(g.bands, still)) for g in groups]
    bands = _without(bands, still)
    quality, isc_nulls = _agreement(scans, match, block_values, n_permutations, seed)
    edges = neighbours(scans)
    selected = np.arange(n_voxels := scans["bold"].shape[1])
    if bands and "isc" in quality and max_voxels is not None and max_voxels < n_voxels:
        selected = np.sort(most_shared(quality["isc"].mean("subject").values, max_voxels))
        warnings.append(
            f"ridge was fitted to {len(selected):,} of {n_voxels:,} voxels: those of highest ISC "
            "(max_voxels)"
        )
    of_ridge: dict[str, tuple] = {}
    if bands:
        n_parts = -(-len(selected) * scans["bold"].shape[0] // block_values)
        ridge: dict = {"n_shifts": n_shifts, "n_shift_maps": n_shift_maps, "n_iter": n_iter}
        ridge |= {"seed": seed, "n_voxels": n_voxels, "by_fold": n_folds > 1}
        ridge |= {"edges": edges, "on_mesh": "vertex" in scans.coords}
        blocks, read = np.array_split(selected, n_parts), partial(_zscored, scans, match)
        maps, of_ridge = ridge_maps(read, blocks, groups, folds, **ridge)
        quality = quality.merge(maps)
    scored = [quality[n] for n in quality if n == "isc" or str(n).startswith("r_")]
    if scored and not any(np.isfinite(scores).any() for scores in scored):
        warnings.append("no voxel or parcel varies in every run and subject: nothing has a score")
    quality = quality.assign_coords(subject=match.subjects, **_places(scans))
    quality = quality.assign(_false_discoveries(quality) | _noise(scans))
    quality = with_fold_intervals(quality)
    of_group = group_maps(quality, isc_nulls, edges) | of_ridge
    if of_group and edges is None and "vertex" in scans.coords:
        warnings.append(f"no clusters (TFCE): {why_no_edges(scans)}")
    quality = quality.assign(of_group)
    quality = quality.assign(_repeated(scans, match, block_values))
    lag, why_none = _lag(scans, match, quality, levels, seed)
    lag = lag_arrays(lag, why_none, t_r)
    attrs = {"t_r": t_r, "n_trs": len(match.trs), "n_runs": len(set(match.runs))} | lag.attrs
    attrs |= null_counts(quality, n_permutations, n_shifts, n_shift_maps, folds)
    attrs |= {"lag_applied": float(scans.attrs.get("lag_seconds", 0.0))}
    attrs["warnings"] = warnings + lag.attrs["warnings"] + _not_this_sound(quality, lag)
    return quality.merge(lag).assign_attrs(attrs, bold_source=scans.attrs["source"])


def _without(bands: dict, names: list) -> dict:
    return {name: band for name, band in bands.items() if name not in names}


def _agreement(scans, match: Match, block_values: int, n_permutations: int, seed: int):
    """The maps of `agreement`, block by block, and the nulls of ISC; empty for one subject."""
    if len(match.subjects) < 2:
        return xr.Dataset(), {}
    blocks = voxel_blocks(scans, match, np.ones(len(match.trs), dtype=bool), block_values)
    options = (match.runs, n_permutations, seed)
    of_blocks = (agreement(b, *options, keep_nulls=True) for b in blocks)
    nulls, maps = nulls_of_blocks(of_blocks, scans["bold"].shape[1])
    return xr.concat(maps, "voxel"), nulls


def _zscored(scans, match: Match, columns: np.ndarray) -> np.ndarray:
    """Some columns of BOLD, z-scored by run: (n_subjects, n_trs, n_columns)."""
    every = np.ones(len(match.trs), dtype=bool)
    return zscore_bold(read_columns(scans, match, columns, every), match.runs, every)[0]


def _repeated(scans, match: Match, block_values: int) -> dict:
    """``repeat_variance`` (subject, voxel): share of the variance that repeats with the stimulus;
    ``n_repeats`` (subject), and ceilings of r, ``ceiling_single`` and ``ceiling_repeats``.

    Of TRs that a subject was scanned in as often as most of those that were repeated; nothing
    where nobody was in ten of them. It is `explainable_variance` of one presentation.
    """
    if match.repeats is None:
        return {}
    n_columns, shares, n_repeats = scans["bold"].shape[1], [], []
    for own in match.repeats:  # (n_repeats, n_trs)
        counts = (own >= 0).sum(axis=0)
        often = int(np.bincount(counts[counts > 1]).argmax()) if (counts > 1).any() else 0
        trs = np.flatnonzero(counts >= often)
        if often < 2 or len(trs) < _FEWEST_REPEATED:
            shares.append(np.full(n_columns, np.nan))
            n_repeats.append(np.nan)
            continue
        n_repeats.append(often)
        volumes, width = own[:often, trs], max(1, block_values // scans["bold"].shape[0])
        blocks = [slice(start, start + width) for start in range(0, n_columns, width)]
        every = np.ones(len(match.trs), dtype=bool)
        read = (
            scaled_volumes(scans["bold"][:, block].values, match, every, True)[volumes]
            for block in blocks
        )
        shares.append(np.concatenate([explainable_variance(block) for block in read]))
    if np.isnan(shares).all():
        return {}
    share, counts = np.array(shares, dtype=np.float32), np.array(n_repeats, dtype=np.float32)
    both = ("subject", "voxel")
    return {
        "repeat_variance": (both, share),
        "ceiling_single": (both, repeat_ceiling(share)),
        "ceiling_repeats": (both, repeat_ceiling(share, counts[:, None])),
        "n_repeats": ("subject", counts),
    }


def _false_discoveries(quality: xr.Dataset) -> dict:
    """``..._q`` (voxel) for every ``..._p``."""
    names = [str(name).removesuffix("_p") for name in quality if str(name).endswith("_p")]
    return {f"{n}_q": ("voxel", false_discovery_rate(quality[f"{n}_p"].values)) for n in names}


def _lag(scans, match: Match, quality: xr.Dataset, levels, seed: int):
    """The lag of the subjects' mean, in some thousand voxels that are chosen without the sound."""
    if levels is None or match.stimulus is not None:
        return scan_lag(None, np.empty(0), np.empty(0), match.runs)
    chosen = _zscored(scans, match, _lag_voxels(quality, scans["bold"].shape[1]))
    film_time = scans["film_time"].values[match.volumes].mean(axis=0)
    return scan_lag(levels, chosen.mean(axis=0), film_time, match.showings, seed=seed)


def _not_this_sound(quality: xr.Dataset, lag: xr.Dataset) -> list[str]:
    """A warning where a lag was looked for and the scans fit the sound at none."""
    if not lag["lag_p"].item() > LARGEST_P:  # NaN: none was looked for
        return []
    p, within = lag["lag_p"].item(), abs(lag["lag_shift"].values).max()
    agree = "isc_p_max" in quality and bool((quality["isc_p_max"] < LARGEST_P).any())
    though = ", although subjects have reliable ISC" * agree
    return [
        f"the scans are not shown to follow the film's sound at any lag within {within:g} s "
        f"(p = {p:.2g}){though}: is it the film that was shown, and was its sound on? Check film, "
        "onset and stim_onset"
    ]


def _lag_voxels(quality: xr.Dataset, n_voxels: int) -> np.ndarray:
    """Indices of the voxels with the highest ISC; for one subject, evenly spaced ones."""
    if "isc" in quality:
        return np.sort(most_shared(quality["isc"].mean("subject").values, _LAG_VOXELS))
    return np.arange(0, n_voxels, -(-n_voxels // _LAG_VOXELS))


def _noise(scans: xr.Dataset) -> dict:
    """Temporal SNR and head motion by subject, where the scans have them."""
    quality: dict[str, tuple] = {}
    if "tsnr" in scans:
        mean = scans["tsnr"].load().groupby("scan_subject").mean()
        quality["tsnr"] = (("subject", "voxel"), mean.values.astype(np.float32))
    if "framewise_displacement" in scans:
        moved = scans["framewise_displacement"].load()
        moving = (moved > MOVING_MM).where(moved.notnull())
        quality["framewise_displacement"] = ("subject", moved.groupby("subject").mean().values)
        quality["moving_share"] = ("subject", moving.groupby("subject").mean().values)
    return quality


def _places(scans: xr.Dataset) -> dict:
    """Coordinates of each voxel, or the parcels' names."""
    space = scans["bold"].dims[1]
    return {k: ("voxel", c.values) for k, c in scans.coords.items() if c.dims == (space,)}


def after_film_warnings(n_scanned: int, n_trs: int, max_trs: int | None) -> list[str]:
    """A warning where the scans reach to TR ``n_scanned`` and the film ends at ``n_trs``.

    None where ``max_trs`` is what ends it.
    """
    if n_trs >= min(n_scanned, max_trs or n_scanned):
        return []
    after = n_scanned - n_trs
    trs = "1 TR was" if after == 1 else f"{after} TRs were"
    return [f"{trs} scanned after the film's end, and left out"]


def _film_trs(regressors: Mapping[str, xr.Dataset]) -> list[int]:
    """The numbers of TRs of sound, video and score; words have no end."""
    film = [a for a in regressors.values() if "n_words" not in a]
    return [int(a.attrs["n_trs"]) for a in film if "n_trs" in a.attrs]


def _bands(regressors: Mapping[str, xr.Dataset]) -> dict[str, np.ndarray]:
    """Regressors (n_volumes, n_features) by modality; the number of words is a band of its own.

    So is each feature space of a modality that has several: ``score_harmony``, for instance.
    """
    bands: dict[str, np.ndarray] = {}
    for name, arrays in regressors.items():
        if "space" in arrays.coords:
            values, of = arrays["regressors"].values, arrays["space"].values.astype(str)
            bands |= {f"{name}_{space}": values[:, of == space] for space in dict.fromkeys(of)}
        elif "regressors" in arrays:
            bands[name] = arrays["regressors"].values
    for arrays in regressors.values():
        if "n_words" in arrays:
            counts = arrays["n_words"].values  # by lag
            bands["n_words"] = counts.reshape(len(counts), -1)
    return bands


def summary_table(quality: xr.Dataset):
    """One row per metric and subject: ``metric subject mean median p95 n``, over voxels.

    ``subject`` is ``all`` for group metrics; ``n`` counts voxels with a value.
    """
    import pandas as pd

    rows = []
    for metric, values in quality.data_vars.items():
        is_end = str(metric).startswith(("low_", "high_"))  # of intervals: see `fold_table`
        if is_end or not {"lag_shift", "lag_time", "fold"}.isdisjoint(values.dims):
            continue
        per_subject = values if "subject" in values.dims else values.expand_dims(subject=["all"])
        for subject in per_subject["subject"].values:
            row = np.ravel(per_subject.sel(subject=subject).values)
            row = row[np.isfinite(row)]
            stats = (
                (row.mean(), np.median(row), np.quantile(row, 0.95)) if len(row) else [np.nan] * 3
            )
            rows.append((metric, str(subject), *stats, len(row)))
    return pd.DataFrame(rows, columns=["metric", "subject", "mean", "median", "p95", "n"])


def parcel_table(quality: xr.Dataset):
    """One row per parcel: its name as ``parcel``, and each metric's mean over subjects.

    Of R² (``r2_...``, ``unique_...``), which has no lower bound, the median. None for voxels, and
    for more than ``MOST_PARCELS`` parcels.
    """
    import pandas as pd

    if "parcel" not in quality.coords or quality.sizes["voxel"] > MOST_PARCELS:
        return None
    columns = {"parcel": quality["parcel"].values.astype(str)}
    for name, values in ((str(name), values) for name, values in quality.data_vars.items()):
        if "voxel" in values.dims:
            one = values if "subject" in values.dims else values.expand_dims("subject")
            typical = one.median if name.startswith(("r2_", "unique_")) else one.mean
            columns[name] = typical("subject").values
    return pd.DataFrame(columns)
