"""How good scans are before any network sees them: what people share, what ridge finds."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from giblet.alignment.hrf import HRF_SECONDS
from giblet.alignment.sync import Match, match_scans
from giblet.baselines import held_out_scores
from giblet.checks import GibletError
from giblet.dataset import zscore_bold
from giblet.encoding import explainable_variance, isc, noise_ceiling
from giblet.significance import against_chance, false_discovery_rate, phase_randomised
from giblet.timing import trs_for, volumes_to_trs


def brain_quality(
    scans: xr.Dataset,
    regressors: Mapping[str, xr.Dataset],
    t_r: float,
    n_permutations: int = 200,
    n_iter: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Maps of agreement between people, and of ridge from the film, over all TRs that all saw.

    Parameters
    ----------
    scans
        As ``giblet.bold.load_bids`` and ``load_runs`` give them.
    regressors
        Modality → array set of ``film_regressors``; those with nothing in them are left out.
    n_permutations, n_iter
        Nulls of the ISC; mixtures of modalities that banded ridge tries.

    Returns
    -------
    Along ``voxel`` (or parcels: ``voxel`` with their names), of BOLD z-scored by run:

    - with two subjects or more ``isc`` (subject, voxel), leave-one-out; of its mean over subjects
      the phase-randomised ``isc_p`` and, for false discoveries, ``isc_q`` (voxel);
      ``ceiling_lower`` and ``ceiling_upper`` (subject, voxel); ``explainable_variance`` (voxel);
    - ``r_<modality>``, ``r_n_words`` (subject, voxel), and with several ``r_all``: correlation on
      held-out runs, or on blocks of a single run, with a gap of the HRF's length; of each modality
      alone and of all by banded ridge.

    Raises
    ------
    GibletError
        As ``match_scans``; too few TRs to hold some out.
    """
    n_trs = int(volumes_to_trs(scans["film_time"].values, t_r).max()) + 1
    match = match_scans(scans, t_r, n_trs)
    bold = scans["bold"].values[match.volumes]  # (n_subjects, n_trs, n_voxels)
    bold, _ = zscore_bold(bold, match.runs, np.ones(len(match.trs), dtype=bool))
    space = scans["bold"].dims[1]
    places = {k: ("voxel", c.values) for k, c in scans.coords.items() if c.dims == (space,)}
    found = xr.Dataset(coords={"subject": match.subjects, **places})
    if len(bold) > 1:
        found = found.assign(_agreement(bold, match.runs, n_permutations, seed))
    bands, times = _bands(regressors), scans["film_time"].values[match.volumes]
    sets = {f"r_{name}": [name] for name in bands} | ({"r_all": list(bands)} if bands else {})
    if len(bands) == 1:
        sets.pop("r_all")
    for label, names in sets.items():
        search = {"n_iter": n_iter, "seed": seed}
        r = _linear([bands[name] for name in names], bold, times, match, t_r, search)
        found[label] = (("subject", "voxel"), r.astype(np.float32))
    attrs = {"t_r": t_r, "n_trs": len(match.trs), "n_runs": len(set(match.runs))}
    return found.assign_attrs(attrs, bold_source=scans.attrs["source"])


def _bands(regressors: Mapping[str, xr.Dataset]) -> dict[str, np.ndarray]:
    """(n_volumes, n_features) each: how many words there are is told apart from which."""
    bands = {k: a["regressors"].values for k, a in regressors.items() if "regressors" in a}
    for arrays in regressors.values():
        if "n_words" in arrays:
            bands["n_words"] = arrays["n_words"].values[:, None]
    return bands


def _agreement(bold: np.ndarray, runs: np.ndarray, n_permutations: int, seed: int) -> dict:
    lower, upper = noise_ceiling(bold)
    randomise = partial(_by_run, runs=runs)
    chance = against_chance(
        lambda b: np.nanmean(isc(b), axis=0),
        bold,
        randomise,
        n_permutations=n_permutations,
        seed=seed,
    )
    both, voxel = ("subject", "voxel"), ("voxel",)
    return {
        "isc": (both, isc(bold).astype(np.float32)),
        "isc_p": (voxel, chance.p),
        "isc_q": (voxel, false_discovery_rate(chance.p)),
        "ceiling_lower": (both, lower.astype(np.float32)),
        "ceiling_upper": (both, upper.astype(np.float32)),
        "explainable_variance": (voxel, explainable_variance(bold)),
    }


def _by_run(bold: np.ndarray, rng: np.random.Generator, runs: np.ndarray) -> np.ndarray:
    """Phases randomised within each run."""
    other = np.empty_like(bold)
    for run in np.unique(runs):
        other[:, runs == run] = phase_randomised(bold[:, runs == run], rng)
    return other


def _linear(
    bands: list, bold: np.ndarray, times: np.ndarray, match: Match, t_r: float, search: dict
) -> np.ndarray:
    """Held-out correlation (n_subjects, n_voxels); who shares a clock is fitted together.

    Folds are whole runs, or parts of a single one, so that BOLD z-scored by run tells training TRs
    nothing of the others.
    """
    n_subjects, n_trs, n_voxels = bold.shape
    clocks = [subject.tobytes() for subject in times]
    r = np.empty((n_subjects, n_voxels))
    for clock in dict.fromkeys(clocks):
        alike = [s for s in range(n_subjects) if clocks[s] == clock]
        together = bold[alike].swapaxes(0, 1).reshape(n_trs, -1)
        features = [band[match.volumes[alike[0]]] for band in bands]  # (n_trs, n_features) each
        gap = trs_for(HRF_SECONDS, t_r)
        try:
            found, _r2 = held_out_scores(features, together, match.runs, gap, **search)
        except ValueError as error:
            raise GibletError(f"too few TRs to hold some out: {error}") from None
        r[alike] = found.reshape(len(alike), n_voxels)
    return r


def summary_table(quality: xr.Dataset):
    """One row a metric and subject: ``metric subject mean median p95 n``, over voxels.

    ``subject`` is ``all`` for what there is once for everyone; ``n`` counts voxels with a value.
    """
    import pandas as pd

    rows = []
    for metric, values in quality.data_vars.items():
        per_subject = values if "subject" in values.dims else values.expand_dims(subject=["all"])
        for subject in per_subject["subject"].values:
            row = per_subject.sel(subject=subject).values
            row = row[np.isfinite(row)]
            stats = (
                (row.mean(), np.median(row), np.quantile(row, 0.95)) if len(row) else [np.nan] * 3
            )
            rows.append((metric, str(subject), *stats, len(row)))
    return pd.DataFrame(rows, columns=["metric", "subject", "mean", "median", "p95", "n"])
