"""When each TR of many stimuli was presented to whom: folds of whole stimuli, order of scans."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import xarray as xr

from giblet.alignment.stimulus_folds import near_in_scan, shown_at, stimulus_folds
from giblet.alignment.sync import Match
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.stats.cross_validation import purged_folds
from giblet.stats.ridge import Folds
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

_N_FOLDS = 5
_FEWEST_TRS = 10  # that a fold has to train on
_COORDINATES = ("file", "start", "duration")


@dataclass(frozen=True)
class Presentations:
    """The stimulus of each TR, and the volumes that were taken in it.

    clock : of the stimuli
    stimulus : (n_trs,) int, the index of each TR's stimulus in ``clock``
    runs : (n_trs,) str, as of `giblet.alignment.sync.Match`
    scans : coordinates ``subject`` and ``run`` (volume)
    volumes : (n_subjects, n_repeats, n_trs) indices into ``scans``; -1 where there are no more
    is_mean : whether BOLD is the mean over repeats
    gap_trs : TRs of a run between the parts of a fold
    music : (n_stimuli,) int, equal for stimuli of one score; None where scores are not known
    """

    clock: StimulusClock
    stimulus: np.ndarray
    runs: np.ndarray
    scans: xr.Dataset
    volumes: np.ndarray
    is_mean: bool
    gap_trs: int
    music: np.ndarray | None = None

    @classmethod
    def of_aligned(cls, aligned: xr.Dataset) -> Self | None:
        """Of aligned arrays with what `presentation_arrays` adds; None of those of one film."""
        if "volumes" not in aligned:
            return None
        of_tr = aligned["stimulus"].values.astype(str)
        names, first, index = np.unique(of_tr, return_index=True, return_inverse=True)
        files, starts, lasts = (aligned[f"stimulus_{n}"].values[first] for n in _COORDINATES)
        trs, t_r = aligned["tr"].values[first], float(aligned.attrs["t_r"])
        own = (tuple(names.tolist()), trs, lasts, t_r, tuple(files.astype(str).tolist()), starts)
        coords = {n: ("volume", aligned[f"volume_{n}"].values) for n in ("subject", "run")}
        is_mean, gap = (int(aligned.attrs[n]) for n in ("average_repeats", "stimulus_gap_trs"))
        volumes, runs = aligned["volumes"].values, aligned["run"].values.astype(str)
        clock, scans, of_trs = StimulusClock(*own), xr.Dataset(coords=coords), index.ravel()
        music = aligned["music"].values[first] if "music" in aligned.coords else None
        return cls(clock, of_trs, runs, scans, volumes, is_mean > 0, gap, music)

    @property
    def is_scaled_by_run(self) -> bool:
        """Whether ``runs`` are those of everyone, and no TR is the mean of several showings.

        BOLD z-scored by ``runs`` then has no other scale.
        """
        if self.is_mean and (self.volumes[:, 1:] >= 0).any():
            return False
        of_people = self.scans["run"].values.astype(str)[self.volumes[:, 0]]
        n_runs = len(set(self.runs.tolist()))
        pairs = [set(zip(own.tolist(), self.runs.tolist(), strict=True)) for own in of_people]
        n_own = [len(set(own.tolist())) for own in of_people]
        return all(len(both) == n == n_runs for both, n in zip(pairs, n_own, strict=True))

    def slice(self, trs: np.ndarray) -> Self:
        """These TRs alone."""
        of_trs = {"stimulus": self.stimulus[trs], "runs": self.runs[trs]}
        return replace(self, volumes=self.volumes[..., trs], **of_trs)

    def ranks(self, subject: int) -> np.ndarray:
        """The order (n_trs,) int in which a subject was first scanned in the TRs."""
        return shown_at(self.scans, self.volumes[[subject]])

    def folds(self, among: np.ndarray, subject: int | None = None) -> Folds | None:
        """Five folds of the TRs ``among`` (indices, sorted): (train, test) TR indices.

        As of `stimulus_folds`: stimuli are never cut. No TR trains that was scanned within
        ``gap_trs`` of a tested one, in ``subject``, or in anyone. There are fewer folds of fewer
        stimuli, and None of a single one. Where the gap leaves less than 10 TRs to train on, there
        is none, with a warning.
        """
        volumes = self.volumes if subject is None else self.volumes[[subject]]
        shown = shown_at(self.scans, volumes)
        of_trs = (shown, self.stimulus, self.runs)
        split = partial(stimulus_folds, *of_trs, self.clock, self.music, among)
        try:
            labels = split(_N_FOLDS)
        except GibletError:  # fewer stimuli
            try:
                labels = split()
            except GibletError:
                return None
        close = partial(
            near_in_scan, self.scans, volumes, gap_trs=self.gap_trs, average=self.is_mean
        )
        try:
            folds = purged_folds(self.runs, self.gap_trs, among=among, labels=labels, close=close)
            if min(len(train) for train, _test in folds) >= _FEWEST_TRS:
                return folds
        except ValueError:  # nothing is left to train on
            pass
        logger.warning(
            "penalties are chosen by whole stimuli without a gap: with one of %d TRs "
            "(splits.gap_seconds) fewer than %d TRs train in a fold",
            self.gap_trs,
            _FEWEST_TRS,
        )
        itself = partial(np.array, copy=True)
        return purged_folds(self.runs, 0, among=among, labels=labels, close=itself)


def presentation_arrays(
    scans: xr.Dataset, match: Match, gap_seconds: float, music: np.ndarray | None = None
) -> tuple[dict, dict, dict]:
    """Variables, coordinates and attributes of aligned arrays, for `Presentations.of_aligned`.

    Empty of a film. ``music`` (n_stimuli,) int is equal for stimuli of one score.
    """
    clock = StimulusClock.of_scans(scans)
    if clock is None or match.stimulus is None or match.repeats is None:
        return {}, {}, {}
    of_stimulus = (np.array(clock.files), clock.starts, clock.durations)
    named = zip(_COORDINATES, of_stimulus, strict=True)
    coords = {f"stimulus_{n}": ("tr", values[match.stimulus]) for n, values in named}
    coords["stimulus_begin"] = ("tr", clock.begins[match.stimulus])
    coords |= {f"volume_{n}": ("volume", scans[n].values) for n in ("subject", "run")}
    if music is not None:
        coords["music"] = ("tr", music[match.stimulus])
    attrs = {"average_repeats": int(match.is_mean)}
    attrs["stimulus_gap_trs"] = trs_for(gap_seconds, clock.t_r)
    return {"volumes": (("subject", "repeat", "tr"), match.repeats)}, coords, attrs
