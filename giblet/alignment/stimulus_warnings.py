"""Warnings of runs with many stimuli: repeats, lost TRs, onsets, short ones, responses before."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.showings import MOST_SPREAD, Showing
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import DecodingConfig
from giblet.timing import TOLERANCE, share_of_tr

REST = 10.0  # s of silence that is recommended after short stimuli
_RESPONSE = 12.0  # s: what an HRF still holds after that is little


def stimulus_warnings(
    volumes: np.ndarray, average: bool, showings: Sequence[Showing], clock: StimulusClock
) -> list[str]:
    """Lines about repeats, about TRs that were not scanned in everyone, and about onsets.

    ``volumes`` as of `giblet.alignment.stimuli.showing_volumes`.
    """
    counts = (volumes >= 0).sum(axis=1)  # (n_subjects, n_trs)
    of_tr = clock.stimulus_of_trs(counts.shape[1])
    again = np.unique(of_tr[(of_tr >= 0) & (counts > 1).any(axis=0)])
    lines = []
    if len(again):
        used = "the mean is used" if average else "the first is used (events.average_repeats)"
        lines.append(
            f"{len(again)} of {len(clock.names)} stimuli were presented {counts.max()} times or "
            f"fewer: {used}"
        )
    seen = (counts > 0).all(axis=0)
    of_seen = set(of_tr[seen].tolist())
    unseen = [name for k, name in enumerate(clock.names) if k not in of_seen]
    if unseen:
        more = f" and {len(unseen) - 3} more" * (len(unseen) > 3)
        lines.append(f"{', '.join(unseen[:3])}{more} not used: not scanned in everyone")
    lost = np.isin(of_tr, list(of_seen - {-1})) & ~seen
    if lost.any():
        lines.append(f"{lost.sum()} TRs of other stimuli were not scanned in everyone")
    far = max((showing.deviation for showing in showings), key=abs, default=0.0)
    if share_of_tr(far, clock.t_r) > MOST_SPREAD:
        lines.append(
            f"stimuli begin up to {abs(far):.2f} s from one moment of the TR: the HRF inside the "
            "model is that much off, regressors are exact"
        )
    return lines + _short_warnings(clock)


def _short_warnings(clock: StimulusClock) -> list[str]:
    """A line where stimuli end before the last lag of the default decoder."""
    short = shorter_than_response(clock)
    if not short.any():
        return []
    return [
        f"{short.sum()} of {len(clock.names)} stimuli are shorter than the decoder's last lag and "
        f"a TR ({response_seconds(clock.t_r):g} s): most of the response comes after the sound, "
        f"and is not used. events.rest_seconds: {REST:g} adds volumes up to the next onset"
    ]


def shorter_than_response(clock: StimulusClock) -> np.ndarray:
    """Whether each stimulus, with its rest, ends before `response_seconds`, (n_stimuli,) bool."""
    return clock.durations + clock.rest < response_seconds(clock.t_r) - TOLERANCE


def response_seconds(t_r: float) -> float:
    """Seconds from an onset to the end of the default decoder's last lag."""
    return DecodingConfig().last_lag_seconds + t_r


def carry_over_warnings(scans: xr.Dataset) -> list[str]:
    """A line where stimuli follow each other soon, and regressors forget the one before."""
    if scans.attrs.get("carry_over", 1):
        return []
    names = ("subject", "run", "onset", "duration")
    events = pd.DataFrame({name: scans[f"event_{name}"].values for name in names})
    events = events.sort_values("onset", kind="stable")
    ends = events["onset"] + events["duration"]
    runs = [events["subject"], events["run"]]
    soon = events["onset"] - ends.groupby(runs).shift() < _RESPONSE
    if not soon.any():
        return []
    return [
        f"{soon.sum()} of {len(events)} presentations begin within {_RESPONSE:g} s of the one "
        "before: BOLD still has its response, regressors do not (events.carry_over: true)"
    ]
