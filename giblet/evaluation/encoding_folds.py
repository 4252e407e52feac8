"""Folds in which brain_quality fits ridge, of a film or of many stimuli."""

from functools import partial

import numpy as np
import xarray as xr

from giblet.alignment.hrf import HRF_SECONDS
from giblet.alignment.stimulus_folds import (
    TooFewStimuli,
    near_in_scan,
    shown_at,
    stimulus_folds,
)
from giblet.alignment.sync import Match
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.stats.encoding_maps import Fold, held_out_folds
from giblet.timing import trs_for


def ridge_folds(
    match: Match,
    scans: xr.Dataset,
    t_r: float,
    n_folds: int = 1,
    music: np.ndarray | None = None,
) -> tuple[list[Fold], list[str]]:
    """Folds of ridge; none, with a warning, of too few TRs.

    Of a film see `held_out_folds`. Of many stimuli they are those of `stimulus_folds`, and no TR
    trains that was scanned within the HRF's length of a tested one, in any subject. Those of equal
    ``music`` (n_stimuli,) are in one fold.
    """
    gap, options = trs_for(HRF_SECONDS, t_r), {}
    clock = StimulusClock.of_scans(scans)
    if match.stimulus is not None and match.repeats is not None and clock is not None:
        shown = shown_at(scans, match.repeats)
        of_trs = (shown, match.stimulus, match.runs)
        options["labels"] = partial(stimulus_folds, *of_trs, clock, music)
        options["close"] = partial(
            near_in_scan, scans, match.repeats, gap_trs=gap, average=match.is_mean
        )
    try:
        return held_out_folds(match.runs, gap, n_folds, **options), []
    except TooFewStimuli as error:
        return [], [f"ridge was left out: {error}"]
    except GibletError as error:
        orders = "; stimuli that anyone heard near a tested one do not train: where people have "
        orders += "other orders, analyse one at a time (as bold a table of one person's runs)"
        return [], [f"ridge was left out: {error}{orders * ('close' in options)}"]
