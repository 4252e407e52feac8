"""Regressors: what of the film a linear model may read, blurred by the HRF."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np
import xarray as xr

from giblet.alignment.hrf import HRF_SECONDS, convolve_hrf
from giblet.alignment.showings import MOST_SPREAD, Showing, find_showings, run_volumes
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.film.modalities import Modality, SpaceSet, modality_of
from giblet.timing import (
    TOLERANCE,
    acquisition_times,
    count_samples,
    frames_rate_hz,
    samples_duration,
    tr_begin,
    tr_end,
    trs_for,
)

_SLOW_HZ = 0.01  # the default of scan.high_pass_hz


def film_regressors(
    film: xr.Dataset,
    scans: xr.Dataset,
    t_r: float,
    model: str,
    processor=None,
    lags: Sequence[float] = (),
) -> xr.Dataset:
    """One modality's ``regressors`` (volume, feature), and of words also ``n_words`` (volume, lag).

    With ``model`` fir, features lag by lag, and counts at each; otherwise there is one lag. Nothing
    where the film has nothing: a sound file has no video. Where the modality has feature spaces,
    coordinate ``space`` (feature) names that of each column. Of the score of many stimuli
    ``stimulus_music`` (stimulus) is kept. Attribute ``n_trs`` is the number of
    TRs of the features; after them all is 0. ``processor`` is needed for sound alone; the other
    arguments are those of `regress`. GibletError where ``film`` is not the whole one, from its
    first TR on.
    """
    arrays = xr.Dataset(attrs={"t_r": t_r, "hrf_model": model, "fir_lags_seconds": list(lags)})
    if not film.data_vars:
        return arrays
    if "tr" in film.coords and (film["tr"].values != np.arange(film.sizes["tr"])).any():
        raise GibletError("features must be of every TR of the film: some are missing here")
    arrays.attrs["n_trs"] = film.sizes["tr"]
    modality = modality_of(film)
    features = modality.regressors(film, t_r, processor)
    blurred = regress(*features, scans, t_r, model, lags)
    arrays["regressors"] = (("volume", "feature"), blurred)
    arrays = arrays.assign_coords(_columns(film, modality, max(1, len(lags))))
    if "stimulus_music" in film.coords:  # brain_quality keeps equal ones in one fold
        arrays = arrays.assign_coords(stimulus_music=film["stimulus_music"])
    if "n_words" in film:
        counts = film["n_words"].values[:, None]
        blurred = regress(counts, frames_rate_hz(1, t_r), scans, t_r, model, lags)
        arrays["n_words"] = (("volume", "lag"), blurred)
    return arrays


def _columns(film: xr.Dataset, modality: Modality | SpaceSet, n_lags: int) -> dict:
    """What ``film`` says of each column of the regressors, along ``feature``, lag by lag."""
    own = {str(name): c for name, c in film.coords.items() if c.dims == (modality.columns,)}
    start = f"{modality.name}_"
    return {
        name.removeprefix(start): ("feature", np.tile(c.values, n_lags)) for name, c in own.items()
    }


def regress(
    values: np.ndarray,
    rate_hz: float,
    scans: xr.Dataset,
    t_r: float,
    model: str,
    lags: Sequence[float] = (),
) -> np.ndarray:
    """Features (n_samples, n_features) → regressors (n_volumes, n_features) float32.

    ``model`` and ``lags`` as of `convolve_hrf`: with fir there are n_lags * n_features columns.
    Each run starts from silence: what the film has before the TR in which the run's showing began
    was not seen. ``scans`` have that as ``film_start`` (volume; s); without it, showings begin with
    their first volume, and what was seen before volumes that were dropped is lost. Where a run
    shows the film in several parts (a pause, a leap), later ones still have the responses to
    earlier ones. Of many stimuli each has its response from its event's onset in the run on, up to
    the next one's onset where the scans' attribute ``carry_over`` is 0.
    """
    film_time, n_columns = scans["film_time"].values, values.shape[1] * max(1, len(lags))
    regressors = np.zeros((len(film_time), n_columns), dtype=np.float32)
    done: dict[tuple, np.ndarray] = {}
    for here, shown in _shown(scans, t_r):
        key = tuple((begin, end, times.tobytes()) for begin, end, times in shown)
        if key not in done:  # subjects often share a clock
            done[key] = np.zeros((len(here), n_columns), dtype=np.float32)
            for begin, end, times in shown:
                stop = None if end is None else trs_for(end, samples_duration(1, rate_hz))
                seen = values[count_samples(begin, rate_hz) : stop]
                reached = _reached(times, begin, end, t_r, lags)
                if not reached.any():
                    continue
                since = times[reached] - begin
                done[key][reached] += convolve_hrf(
                    seen, rate_hz, since, model, lags=lags, width=t_r
                )
        regressors[here] = done[key]
    return regressors


def _shown(scans: xr.Dataset, t_r: float) -> Iterator[tuple[np.ndarray, list[tuple]]]:
    """Of each run its volumes (indices), and of each of its showings when the film began and, of
    all but the last, ended (s of film, the edges of TRs), and the volumes' times on its clock.
    """
    if (clock := StimulusClock.of_scans(scans)) is not None:
        yield from _presented(scans, clock)
        return
    film_time, showings = scans["film_time"].values, find_showings(scans, t_r)[0]
    of_run: dict[tuple[str, str], list[Showing]] = {}
    for showing in showings:
        of_run.setdefault((showing.subject, showing.run), []).append(showing)
    for run, here in run_volumes(scans).items():
        ours = of_run.get(run, [])
        if len(ours) == 1:
            yield here, [(max(0.0, tr_begin(ours[0].begin, t_r)), None, film_time[here])]
            continue
        shown, scan_time = [], acquisition_times(len(here), t_r)
        for showing, later in zip_longest(ours, ours[1:]):
            since = scan_time - scan_time[np.searchsorted(here, showing.volumes[0])]
            times = since + showing.times[0]
            times[np.isin(here, showing.volumes)] = showing.times
            begin = max(0.0, tr_begin(showing.begin, t_r))
            shown.append((begin, _end(showing, later, t_r), times))
        yield here, shown


def _presented(scans: xr.Dataset, clock: StimulusClock) -> Iterator[tuple[np.ndarray, list[tuple]]]:
    """The same of runs with many stimuli: every event counts, also before the first volume.

    Where nothing carries over, times of volumes after an event's own are NaN.
    """
    scan_time, carries_over = scans["scan_time"].values, scans.attrs.get("carry_over", 1)
    labels = [scans[f"event_{name}"].values.astype(str) for name in ("subject", "run")]
    onsets, durations = scans["event_onset"].values, scans["event_duration"].values
    begins = clock.begins[scans["event_stimulus"].values]
    for (subject, run), here in run_volumes(scans).items():
        own = np.flatnonzero((labels[0] == subject) & (labels[1] == run))
        own = own[np.argsort(onsets[own], kind="stable")]
        shown = [(begins[e], begins[e] + durations[e], scan_time[here] - onsets[e]) for e in own]
        if not carries_over:
            shown = _apart(shown, np.diff(onsets[own], append=np.inf), clock.t_r)
        yield here, [(begin, end, since + begin) for begin, end, since in shown]


def _apart(shown: list[tuple], until_next: np.ndarray, t_r: float) -> list[tuple]:
    """``shown`` with NaN as time of the volumes that are of another event; ``until_next`` (s).

    A volume that was taken just before an onset is of the event that begins there. Volumes before
    an event have no response to it (`_reached`).
    """
    early = tr_end(0.0, t_r) * MOST_SPREAD
    return [
        (begin, end, np.where(since < stop - early, since, np.nan))
        for (begin, end, since), stop in zip(shown, until_next, strict=True)
    ]


def _reached(
    times: np.ndarray, begin: float, end: float | None, t_r: float, lags: Sequence[float]
) -> np.ndarray:
    """Whether a response to the film reaches to each of ``times``; (n_volumes,) bool."""
    reach = max(HRF_SECONDS, max(lags, default=0.0)) + 2 * tr_end(0.0, t_r)
    last = np.inf if end is None else end + reach
    return (times > begin - 3 * TOLERANCE) & (times < last)


def _end(showing: Showing, later: Showing | None, t_r: float) -> float | None:
    """When a showing ended (s of film): where the later one goes on, or with its last TR."""
    if later is None:
        return None
    last = showing.times[-1]
    goes_on = 0 < later.begin - last <= t_r + TOLERANCE
    return tr_begin(later.begin, t_r) if goes_on else tr_end(last, t_r)


def reach_warnings(reach_seconds: float, splits: SplitConfig) -> list[str]:
    """A warning of features that hold sound from beyond the gap: training TRs then hold test sound.

    ``reach_seconds``: of ``sound_model``. Its gap is also that of brain_quality, the HRF's length.
    """
    gap = min(splits.gap_seconds, HRF_SECONDS)
    if reach_seconds <= gap:
        return []
    return [
        f"sound_model: features hold sound from up to {reach_seconds:g} s away (step_seconds + "
        f"context_seconds), beyond the gap of {gap:g} s (splits.gap_seconds, {HRF_SECONDS:g} s in "
        "brain_quality): training TRs hold test sound. Lower context_seconds"
    ]


def slow_drifts(times: np.ndarray) -> np.ndarray:
    """A constant and cosines slower than 0.01 Hz at ``times`` (n_trs,) s, orthonormal (n_trs, n).

    The scan's cleaning removes such drifts. A response that is compared with the scan must lose
    them too, or one without slow parts fits best whatever the neurons do.

    >>> slow_drifts(np.arange(0.0, 300.0, 2.0)).shape
    (150, 6)
    """
    since = times - times.min()
    n = min(len(times), 1 + int(2 * since.max() * _SLOW_HZ))
    cosines = np.cos(np.pi * np.arange(n) * since[:, None] / max(since.max(), 1e-9))
    return np.linalg.qr(cosines)[0]
