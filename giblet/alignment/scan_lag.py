"""The residual lag of a data set: estimated by the film's sound, told with what to think of it."""

import numpy as np
import xarray as xr

from giblet.alignment.lag import Lag, estimate_lag
from giblet.audio.framing import ungroup_trs
from giblet.audio.mel import FLOOR_DB
from giblet.checks import GibletError
from giblet.timing import (
    TrClock,
    count_samples,
    sample_edges,
    samples_duration,
    tr_moments,
)

RATE_HZ = 10.0  # of the levels: 0.1 s is short beside any HRF
N_BANDS = 4  # voxels have tastes: one level of everything finds the lag half as well
RANGE_DB = 60.0  # what is quieter than the loudest by more than this is silence


def sound_levels(mel: xr.Dataset) -> np.ndarray:
    """Level of the sound in each of ``N_BANDS`` bands, (n_samples, n_bands) dB at ``RATE_HZ``.

    A mel band's level is that of its mean power in the sample, ``RANGE_DB`` below the loudest at
    least; a band's is the mean over a share of the mel bands, side by side. ``mel``: an array set
    of ``group_trs`` on the mel path, ``audio`` (n_trs, n_mels, n_frames) in dB, from the film's
    first second on.
    """
    clock = TrClock(mel.attrs["t_r"], mel.attrs["frame_rate"], mel.attrs["framing"])
    stream = ungroup_trs(mel["audio"].values, clock)  # (n_mels, n_frames)
    ends = sample_edges(stream.shape[1], clock.film_frame_rate())
    edges = sample_edges(count_samples(ends[-1], RATE_HZ), RATE_HZ)
    powers = (10 ** (band.astype(np.float64) / 10) for band in stream)
    means = np.stack([_averaged(power, ends, edges) for power in powers])
    levels = 10 * np.log10(np.maximum(means, 10 ** (FLOOR_DB / 10)))
    levels = np.maximum(levels, levels.max() - RANGE_DB)  # (n_mels, n_samples)
    n_bands = min(N_BANDS, len(levels))
    return np.stack([band.mean(axis=0) for band in np.array_split(levels, n_bands)], axis=1)


def _averaged(values: np.ndarray, ends: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means between ``edges`` of ``values``, each of which lasts from one of ``ends`` to the next.

    >>> _averaged(np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.5, 2.0]))
    array([1.66666667, 3.        ])
    """
    sums = np.concatenate([[0.0], np.cumsum(values * np.diff(ends))])
    return np.diff(np.interp(edges, ends, sums)) / np.diff(edges)


def scan_lag(
    levels: np.ndarray | None,
    bold: np.ndarray,
    film_time: np.ndarray,
    runs: np.ndarray,
    **options,
) -> tuple[Lag | None, str]:
    """The lag of ``bold`` (n_trs, n_voxels) behind the film, or None and the reason why not.

    ``levels`` of `sound_levels`, None for a film without sound; ``film_time`` (n_trs,) s and
    ``runs`` (n_trs,) as of `estimate_lag`, which has the ``options``. TRs after the sound's end are
    left out.
    """
    if levels is None:
        return None, "no sound to tell it by"
    heard = film_time <= samples_duration(len(levels), RATE_HZ)
    try:
        found = estimate_lag(
            levels, RATE_HZ, bold[heard], film_time[heard], run=runs[heard], **options
        )
    except GibletError as error:
        return None, str(error)
    return found, ""


def lag_arrays(lag: Lag | None, reason: str, t_r: float) -> xr.Dataset:
    """``lag``, ``lag_low``, ``lag_high`` (s), ``lag_p``, ``lag_reliable`` (0 or 1); NaN if unknown.

    The reason is then ``lag_note``. ``warnings`` has a line if the lag is reliable and larger than
    half a TR.
    """
    names, nothing = ("lag", "lag_low", "lag_high", "lag_p", "lag_reliable"), [np.nan] * 5
    values = nothing
    if lag is not None:
        values = [lag.seconds, *lag.interval, lag.p_value, float(lag.reliable)]
    arrays = xr.Dataset(dict(zip(names, values, strict=True)), attrs={"warnings": []})
    if lag is None:
        return arrays.assign_attrs(lag_note=reason)
    half_a_tr = float(tr_moments(1, t_r)[0])
    if lag.reliable and abs(lag.seconds) > half_a_tr:
        how = "late" if lag.seconds > 0 else "early"
        low, high = lag.interval
        arrays.attrs["warnings"] = [
            f"the scan seems to be {abs(lag.seconds):.2f} s {how} (95 %: {low:.2f} to {high:.2f} s "
            f"after the film, p = {lag.p_value:.2g}): check onsets and StartTime; "
            f"scan.lag_seconds moves it"
        ]
    return arrays
