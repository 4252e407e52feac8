"""Identification among whole stimuli: which of the held-out ones a brain was presented with."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions
from giblet.audio.metrics.identify import identification_shares, identification_shares_p
from giblet.audio.metrics.scores import summarise
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.config.sections import DecodingConfig
from giblet.evaluation.brain_scores import decode_brains
from giblet.evaluation.moments import BRAIN, N_BOOTSTRAP, mean_over
from giblet.evaluation.stimulus_intervals import tr_intervals
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

EVERY = "all"  # the row of all stimuli
_BLOCK_SECONDS = 16.0  # that the HRF and the film's own slowness make alike
COLUMNS = ("stimulus", "closest", "identified", "chance", "better_than", "better_low")
COLUMNS += ("better_high", "r", "r_low", "r_high", "r_others", "p")
_MEANS = ("identified", "chance", "better_than", "r", "r_others")


def decoded_stimuli(
    aligned: xr.Dataset,
    data: FilmData,
    autoencoder: Autoencoder,
    decoding: DecodingConfig,
    seed: int,
    regions: Regions | None = None,
) -> pd.DataFrame:
    """`identify_stimuli` by bottlenecks decoded from BOLD; without rows of one stimulus or film.

    Arguments as of ``giblet.evaluation.reconstruction.reconstruct``.
    """
    none = pd.DataFrame(columns=list(COLUMNS))
    if data.bold is None or "stimulus" not in aligned.coords:
        return none
    test, train = data.where("test"), data.where("train")
    code = bottlenecks(autoencoder, data)
    mean = code[train].mean(axis=0)
    decoded = decode_brains(code, data, float(aligned.attrs["t_r"]), decoding, regions)[BRAIN]
    guesses, stimulus = [one - mean for one in decoded], aligned["stimulus"].values.astype(str)
    block_trs = trs_for(_BLOCK_SECONDS, float(aligned.attrs["t_r"]))
    if line := short_warning(stimulus[test]):
        logger.warning(line)
    options = (decoding.n_permutations, seed, block_trs)
    table = identify_stimuli(guesses, code[test] - mean, stimulus[test], *options)
    return none if table is None else table


def short_warning(stimulus: np.ndarray) -> str:
    """A line where one of the stimuli is so short that most TRs of the others do not count.

    ``stimulus`` (n_trs,) names; empty where there is nothing to say.

    >>> short_warning(np.array([*"aabbbbcccc"]))
    'stimuli are identified by their first 2 TRs, as the shortest has no more: a'
    """
    names, n_trs = np.unique(stimulus, return_counts=True)
    if len(names) < 2 or 2 * n_trs.min() > np.median(n_trs):
        return ""
    return (
        f"stimuli are identified by their first {n_trs.min()} TRs, as the shortest has no more: "
        f"{names[n_trs.argmin()]}"
    )


def stimulus_patterns(values: np.ndarray, stimulus: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The values of the TRs that all stimuli have, from each one's first on, in one row each.

    ``values`` (n_trs, n_features), ``stimulus`` (n_trs,) names, each's TRs in a row. Names in their
    order, and patterns (n_stimuli, n_common * n_features).

    >>> names, patterns = stimulus_patterns(np.arange(5)[:, None], np.array([*"aabbb"]))
    >>> names, patterns.tolist()
    (['a', 'b'], [[0, 1], [2, 3]])
    """
    of_tr, names = pd.factorize(stimulus)
    counts, trs = np.bincount(of_tr), np.argsort(of_tr, kind="stable")
    first = np.cumsum(counts) - counts
    own = trs[first[:, None] + np.arange(counts.min())]
    return names.tolist(), values[own].reshape(len(names), -1)


def identify_stimuli(
    guesses: Sequence[np.ndarray],
    truth: np.ndarray,
    stimulus: np.ndarray,
    n_permutations: int,
    seed: int,
    block_trs: int = 1,
) -> pd.DataFrame | None:
    """For each held-out stimulus whether it is the one, of all, that its estimates are closest to.

    Parameters
    ----------
    guesses : of each subject (n_trs, n_features)
    truth : (n_trs, n_features)
    stimulus : (n_trs,) the name of each TR's stimulus
    block_trs : TRs that are drawn together for the intervals of a stimulus, see `tr_intervals`

    Returns
    -------
    table : a row for each stimulus with the columns `COLUMNS`; None of fewer than two.
        ``closest``: the stimulus that the subjects' estimates are closest to, by correlation over
        the TRs that all have. ``identified``: the share of subjects in whom it is the true one,
        chance 1 / n_stimuli. ``better_than``: the share of the others that are further away, chance
        .5. ``r``: that correlation with the true one, and ``r_others`` that of the other
        stimuli's estimates with it; all are means over subjects. Intervals are those of
        `tr_intervals`. The last row, `EVERY`, has the means over stimuli with bootstrap intervals
        over stimuli, and the p-value of ``identified`` among permutations of the stimuli, the same
        for all subjects
    """
    names, true = stimulus_patterns(truth, stimulus)
    if (k := len(names)) < 2:
        return None
    patterns = [stimulus_patterns(guess, stimulus)[1] for guess in guesses]
    first = np.stack([identification_shares(own, true, k) for own in patterns])
    pairs = np.stack([identification_shares(own, true, 2) for own in patterns])
    closest = np.nansum(pairs, axis=0).argmax(axis=1)  # of all subjects together
    table = pd.DataFrame(
        {
            "stimulus": names,
            "closest": [names[j] for j in closest],
            "identified": np.nanmean(first.diagonal(axis1=1, axis2=2), axis=0),
            "chance": 1 / k,
            "better_than": np.nanmean(pairs.diagonal(axis1=1, axis2=2), axis=0),
            **_correlations(patterns, true),
        }
    )
    by_tr = [one.reshape(k, -1, truth.shape[1]) for one in (true, *patterns)]
    table["r_low"], table["r_high"], table["better_low"], table["better_high"] = np.concatenate(
        tr_intervals(by_tr[1:], by_tr[0], block_trs, seed)
    )
    every = {"stimulus": EVERY, "closest": None} | table[[*_MEANS]].mean().to_dict()
    for name, short in (("better_than", "better"), ("r", "r")):
        drawn = summarise(name, table[name].to_numpy(), seed, N_BOOTSTRAP)
        every |= {f"{short}_{end}": drawn[end] for end in ("low", "high")}
    table.loc[k] = every
    p = identification_shares_p(first, n_permutations, seed)
    return table.assign(p=[*[np.nan] * k, p])[[*COLUMNS]]


def _correlations(patterns: Sequence[np.ndarray], true: np.ndarray) -> dict[str, np.ndarray]:
    """``r`` and ``r_others`` (n_stimuli,), means over subjects of patterns (n_stimuli, n)."""
    k = len(true)
    r = np.stack([np.corrcoef(own, true)[:k, k:] for own in patterns])
    own = r.diagonal(axis1=1, axis2=2).copy()
    r[:, np.arange(k), np.arange(k)] = np.nan
    others = mean_over(np.swapaxes(r, 0, 1))  # (n_subjects, n_stimuli)
    return {"r": mean_over(own), "r_others": mean_over(others)}
