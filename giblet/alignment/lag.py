"""Residual lag between film and scan, estimated from the sound; the caller may apply it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from giblet.alignment.hrf import HRF_SECONDS, convolve_hrf
from giblet.alignment.regressors import slow_drifts
from giblet.audio.framing import ungroup_trs
from giblet.audio.mel import FLOOR_DB
from giblet.errors import GibletError
from giblet.io.validation import check_features
from giblet.timing import (
    TrClock,
    count_samples,
    sample_edges,
    samples_duration,
    tr_moments,
)

_STEP = 0.5  # s between shifts; the curve is as smooth as the HRF, and a parabola finds its top
_ALPHA = 0.01
ADAPTATIONS = (10.0, 30.0, None)  # s; None: neurons that do not adapt


@dataclass(frozen=True)
class Lag:
    """A residual lag, and whether it is reliable.

    seconds
        How much later the BOLD comes than ``film_time`` says; ``film_time - seconds`` corrects it.
    interval
        95 % of the block bootstrap, s; the whole range that was searched if no fit stands out.
    p_value
        Share of scans against a film moved by more than lag and HRF that fit at least as well,
        each with the adaptation that suits it best; of ``n_null`` such moves and the film as it is.
    reliable
        ``p_value`` is 0.01 at most, the best fit lies inside the range that was searched, and the
        interval is narrower than half of it.
    shifts, fit : (n_shifts,)
        The curve: seconds, and mean squared correlation of sound and voxels.
    adaptation
        Seconds of the adaptation that fits best, None for none.
    film_time, sound, bold : (n_trs,)
        To look at: seconds; the response to the sound at this lag, a sum over bands; the scan, a
        sum over the voxels that were read. Both are z-scored, their weights of the other half.
    """

    seconds: float
    interval: tuple[float, float]
    p_value: float
    reliable: bool
    shifts: np.ndarray
    fit: np.ndarray
    adaptation: float | None
    film_time: np.ndarray
    sound: np.ndarray
    bold: np.ndarray
    n_null: int


def estimate_lag(
    sound: np.ndarray,
    rate_hz: float,
    bold: np.ndarray,
    film_time: np.ndarray,
    *,
    run: np.ndarray | None = None,
    model: str = "spm",
    adaptations: Sequence[float | None] = ADAPTATIONS,
    max_lag: float = 10.0,
    voxel_share: float = 0.05,
    block_seconds: float = 30.0,
    n_bootstrap: int = 300,
    n_null: int = 99,
    seed: int = 0,
) -> Lag:
    """Lag at which the sound, through the HRF, fits the scan best. Nothing is moved.

    The fit at a shift is the mean squared correlation of sound and voxels, so a voxel may answer to
    more sound with less BOLD. Voxels are chosen in one half of the scan and read in the other, both
    ways round. The shifts are ``_STEP`` apart, a parabola through the best three gives the lag.

    A late response cannot be distinguished from a late scan: real responses peak about a second
    earlier or later than the canonical one. Neurons that adapt respond to change, and so earlier:
    an estimate with the wrong adaptation is up to 1 s off (simulated brains). The one that fits
    best is taken, in each draw of the bootstrap, too.

    Parameters
    ----------
    sound : (n_samples,) or (n_samples, n_bands) float
        Its envelope, or the level in each of some bands, from the film's first second on.
    rate_hz
        Samples per second of ``sound``.
    bold : (n_trs, n_voxels) float
        Cleaned of drift and motion: auditory voxels with ``voxel_share`` 1, or all of them.
        Subjects who share a clock may stand side by side as further voxels.
    film_time : (n_trs,) s
        When each volume was taken, on the film's clock: only volumes in the film, dropped ones
        left out.
    run : (n_trs,)
        Run of each volume, None for one. Each run starts from silence.
    model
        ``"spm"`` or ``"glover"``.
    adaptations
        Seconds of the running mean that neurons take off what they hear; None for no adaptation.
    max_lag
        Shifts from ``-max_lag`` to ``max_lag`` s are tried.
    voxel_share
        The voxels that fit best in the other half of the scan, as a share of all.
    block_seconds
        Contiguous blocks that the bootstrap draws.
    seed
        Of the bootstrap and of the null. The same seed gives the same numbers.

    Raises
    ------
    GibletError
        Lengths that do not fit, a scan too short to test a fit against chance, sound or BOLD that
        never changes.
    TypeError, ValueError
        Integers; NaN.
    """
    heard = [_heard(sound, rate_hz, one) for one in adaptations]
    bold, film_time = check_features(bold, "bold"), check_features(film_time, "film_time")
    run = np.zeros(len(film_time)) if run is None else np.asarray(run)
    _check_lengths(bold, film_time, run, samples_duration(len(heard[0]), rate_hz))
    shifts = _STEP * np.arange(-round(max_lag / _STEP), round(max_lag / _STEP) + 1)
    n_bands, both = heard[0].shape[1], (len(adaptations), len(shifts))
    responses = np.empty((*both, n_bands, len(film_time)), dtype=np.float32)
    centred = np.empty(bold.shape, dtype=np.float32)
    for here in (run == label for label in np.unique(run)):
        drifts = slow_drifts(film_time[here])
        for one, level in enumerate(heard):
            response = _expect(level, rate_hz, film_time[here], shifts, model)
            responses[one][..., here] = response - response @ drifts @ drifts.T
        centred[here] = bold[here] - drifts @ (drifts.T @ bold[here])

    expected = responses.reshape(-1, n_bands, len(film_time))
    rng, spacing = np.random.default_rng(seed), float(np.median(np.diff(film_time)))
    chosen = _choose(expected, centred, voxel_share)
    fits = _fit(expected, centred, chosen)
    adaptation, fit = _best(fits.reshape(both))
    null = _null(expected, centred, voxel_share, (max_lag + HRF_SECONDS) / spacing, n_null, rng)
    p_value = (1 + int((null >= fit.max()).sum())) / (1 + n_null)
    low, high = float(shifts[0]), float(shifts[-1])
    if p_value <= _ALPHA and 0 < fit.argmax() < len(fit) - 1:
        draws = (_draw(len(centred), block_seconds / spacing, rng) for _ in range(n_bootstrap))
        drawn = (_fit(expected, centred, chosen, draw).reshape(both) for draw in draws)
        tops = [_top(shifts, _best(fits)[1]) for fits in drawn]
        low, high = np.quantile(tops, [0.025, 0.975]).tolist()
    seen = film_time, *_traces(expected[fits.argmax()], centred, chosen)
    curve = shifts, fit, adaptations[adaptation]
    return Lag(_top(shifts, fit), (low, high), p_value, high - low < max_lag, *curve, *seen, n_null)


def _best(fits: np.ndarray) -> tuple[int, np.ndarray]:
    """Which row of ``fits`` (n_adaptations, n_shifts) has the highest fit, and the row."""
    row = int(fits.max(axis=1).argmax())
    return row, fits[row]


def _heard(sound: np.ndarray, rate_hz: float, adaptation: float | None) -> np.ndarray:
    """Sound (n_samples, n_bands) around 0, minus its running mean."""
    sound = check_features(sound, "sound")
    sound = sound.reshape(len(sound), -1).astype(np.float64)
    if not len(sound) or not np.ptp(sound, axis=0).any():
        raise GibletError("the sound never changes: there is nothing to find the lag by")
    if adaptation is not None:
        sound = adapt(sound, rate_hz, adaptation=adaptation)
    return sound - sound.mean(axis=0)


def _check_lengths(bold, film_time, run, duration: float) -> None:
    if bold.ndim != 2 or not len(bold) == len(film_time) == len(run):
        raise GibletError(
            f"bold {bold.shape}, film_time {film_time.shape} and run {run.shape} do not fit: give "
            "bold (n_trs, n_voxels) and one time and one run for each volume"
        )
    if film_time.max() > duration + HRF_SECONDS or film_time.min() < -HRF_SECONDS:
        raise GibletError(
            f"volumes from {film_time.min():.1f} to {film_time.max():.1f} s of the film, but the "
            f"sound lasts {duration:.1f} s: give the volumes in the film, or the whole sound"
        )
    if not np.ptp(bold, axis=0).any():
        raise GibletError("every voxel is constant: there is nothing to find the lag by")


def _expect(heard, rate_hz: float, film_time, shifts, model: str) -> np.ndarray:
    """Responses (n_shifts, n_bands, n_trs) of one run to what was heard since it began."""
    expected = []
    for times in film_time - shifts[:, None]:
        begin = count_samples(max(0.0, times.min()), rate_hz)
        since = times - samples_duration(begin, rate_hz)
        expected.append(convolve_hrf(heard[begin:], rate_hz, since, model).T)
    responses = np.stack(expected)
    return responses - responses.mean(axis=-1, keepdims=True)


def _squared_r(expected: np.ndarray, bold: np.ndarray) -> np.ndarray:
    """Squared correlation, mean over bands, (n_shifts, n_voxels); 0 for what never changes."""
    n_shifts, n_bands, n_trs = expected.shape
    expected = expected.reshape(n_shifts * n_bands, n_trs)
    expected = expected - expected.mean(axis=1, keepdims=True)
    bold = bold - bold.mean(axis=0)
    power = (expected**2).sum(axis=1)[:, None] * (bold**2).sum(axis=0)
    r2 = np.square(expected @ bold) / np.maximum(power, 1e-12)
    return r2.reshape(n_shifts, n_bands, -1).mean(axis=1)


def _halves(n_trs: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n_trs // 2), np.arange(n_trs // 2, n_trs)


def _choose(expected: np.ndarray, bold: np.ndarray, share: float) -> list[np.ndarray]:
    """Voxels to read in each half: those that fit best, at whatever shift, in the other."""
    n_chosen = max(1, round(share * bold.shape[1]))
    best = [_squared_r(expected[..., h], bold[h]).max(axis=0) for h in _halves(len(bold))[::-1]]
    return [np.argsort(-b, kind="stable")[:n_chosen] for b in best]


def _fit(expected, bold, chosen, drawn=None) -> np.ndarray:
    """Mean squared correlation over both halves' voxels, (n_shifts,), in the volumes ``drawn``."""
    drawn = drawn or _halves(len(bold))
    parts = [
        _squared_r(expected[..., volumes], bold[np.ix_(volumes, voxels)]).mean(axis=1)
        for volumes, voxels in zip(drawn, chosen, strict=True)
    ]
    return np.mean(parts, axis=0)


def _traces(expected: np.ndarray, bold: np.ndarray, chosen) -> tuple[np.ndarray, np.ndarray]:
    """Expected (n_bands, n_trs) and measured response as one series each, z-scored by half.

    Bands and voxels are weighted as the first component of partial least squares in the other half
    has it, in which the voxels were chosen, too.
    """
    heard, answer, halves = np.empty(len(bold)), np.empty(len(bold)), _halves(len(bold))
    for here, there, voxels in zip(halves, halves[::-1], chosen, strict=True):
        sound = {half: _zscored(expected.T[trs]) for half, trs in (("own", here), ("other", there))}
        scan = _zscored(bold[np.ix_(there, voxels)])
        bands, _, answers = np.linalg.svd(sound["other"].T @ scan, full_matrices=False)
        sign = 1.0 if bands[:, 0].sum() >= 0 else -1.0
        heard[here] = _zscored(sound["own"] @ bands[:, 0] * sign)
        answer[here] = _zscored(_zscored(bold[np.ix_(here, voxels)]) @ answers[0] * sign)
    return heard, answer


def _zscored(series: np.ndarray) -> np.ndarray:
    """Along the first axis; 0 for what never changes."""
    return (series - series.mean(axis=0)) / np.maximum(series.std(axis=0), 1e-12)


def _null(expected, bold, share: float, gap: float, n_null: int, rng) -> np.ndarray:
    """Best fits, (n_null,), of the scan to a film moved round by more than ``gap`` volumes."""
    apart = np.arange(int(np.ceil(gap)), len(bold) - int(np.ceil(gap)) + 1)
    if len(apart) < n_null:
        raise GibletError(
            f"{len(bold)} volumes are too few to test a lag against chance: {n_null} ways to move "
            f"the film by {gap:.0f} volumes or more are needed; join the runs"
        )
    nulls = []
    for offset in rng.choice(apart, n_null, replace=False):
        moved = np.roll(expected, offset, axis=-1)
        nulls.append(_fit(moved, bold, _choose(moved, bold, share)).max())
    return np.array(nulls)


def _draw(n_trs: int, block: float, rng) -> tuple[np.ndarray, ...]:
    """Volumes of each half, as many as there are, in contiguous blocks with replacement."""
    drawn = []
    for half in _halves(n_trs):
        blocks = np.array_split(half, max(1, round(len(half) / block)))
        drawn.append(
            np.concatenate([blocks[b] for b in rng.integers(len(blocks), size=len(blocks))])
        )
    return tuple(drawn)


def _top(shifts: np.ndarray, fit: np.ndarray) -> float:
    """Vertex of the parabola through the highest point of ``fit`` and its neighbours."""
    k = int(fit.argmax())
    if k in (0, len(fit) - 1):
        return float(shifts[k])
    before, at, after = fit[k - 1 : k + 2]
    bend = before - 2 * at + after
    return float(shifts[k] + (_STEP * (before - after) / (2 * bend) if bend else 0.0))


def adapt(features: np.ndarray, rate_hz: float, *, adaptation: float = 10.0) -> np.ndarray:
    """``features`` (n_samples, n_features) minus their running mean over ``adaptation`` s.

    Without this, most of the response to scenes of a minute would be as slow as the scanner's
    drift, and would go with it in cleaning.

    >>> lasting = np.repeat([[2.0], [3.0]], [100, 1900], axis=0)  # a step at 10 s
    >>> adapt(lasting, rate_hz=10.0)[[0, 99, 100, 1999]].round(2).ravel().tolist()
    [0.0, 0.0, 0.99, 0.0]
    """
    from scipy.signal import lfilter

    kept = np.exp(-1 / (adaptation * rate_hz))  # of the running mean, per sample
    start = kept * features[:1]  # adapted to what is there at first
    running_mean, _ = lfilter([1 - kept], [1, -kept], features, axis=0, zi=start)
    return features - running_mean


RATE_HZ = 10.0  # of the levels: 0.1 s is short compared with any HRF
N_BANDS = 4  # voxels prefer some frequencies: one level of all of them finds the lag half as well
RANGE_DB = 60.0  # what is quieter than the loudest by more than this is silence
NO_SOUND = "no sound to estimate it from"


def sound_levels(mel: xr.Dataset) -> np.ndarray:
    """Level of the sound in each of ``N_BANDS`` bands, (n_samples, n_bands) dB at ``RATE_HZ``.

    A mel band's level is that of its mean power in the sample, ``RANGE_DB`` below the loudest at
    least; a band's is the mean over a share of the mel bands, side by side. ``mel``: an array set
    of ``group_trs`` of the mel feature type, ``audio`` (n_trs, n_mels, n_frames) in dB, from the
    film's first second on.
    """
    clock = TrClock.from_facts(mel.attrs)
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
    ``runs`` (n_trs,) as of `estimate_lag`, which has the ``options``. Later TRs are left out.
    """
    if levels is None:
        return None, NO_SOUND
    heard = film_time <= samples_duration(len(levels), RATE_HZ)
    try:
        lag = estimate_lag(
            levels, RATE_HZ, bold[heard], film_time[heard], run=runs[heard], **options
        )
    except GibletError as error:
        return None, str(error)
    return lag, ""


def lag_arrays(lag: Lag | None, reason: str, t_r: float) -> xr.Dataset:
    """``lag``, ``lag_low``, ``lag_high`` (s), ``lag_p``, ``lag_reliable`` (0 or 1); NaN if unknown.

    Where it is known also the curve, ``lag_fit`` (lag_shift), and what was compared, ``lag_sound``
    and ``lag_bold`` (lag_time), with seconds as coordinates, and ``lag_adaptation`` (s, NaN for
    none) and ``lag_shifts`` (moves of the film behind ``lag_p``) in the attributes, otherwise the
    reason, ``lag_note``. ``warnings`` has a line if the lag is reliable and larger than half a TR.
    """
    names = ("lag", "lag_low", "lag_high", "lag_p", "lag_reliable")
    values = [np.nan] * len(names)
    if lag is not None:
        values = [lag.seconds, *lag.interval, lag.p_value, float(lag.reliable)]
    arrays = xr.Dataset(dict(zip(names, values, strict=True)), attrs={"warnings": []})
    if lag is None:
        return arrays.assign_attrs(lag_note=reason)
    arrays = arrays.assign_coords(lag_shift=lag.shifts, lag_time=lag.film_time).assign(
        lag_fit=("lag_shift", lag.fit),
        lag_sound=("lag_time", lag.sound),
        lag_bold=("lag_time", lag.bold),
    )
    adaptation = np.nan if lag.adaptation is None else lag.adaptation
    arrays = arrays.assign_attrs(lag_adaptation=adaptation, lag_shifts=lag.n_null)
    half_a_tr, (low, high) = float(tr_moments(1, t_r)[0]), lag.interval
    if lag.reliable and abs(lag.seconds) > half_a_tr:
        how = "late" if lag.seconds > 0 else "early"
        arrays.attrs["warnings"] = [
            f"the scan seems to be {abs(lag.seconds):.2f} s {how} (95 %: {low:.2f} to {high:.2f} s "
            f"after the film, p = {lag.p_value:.2g}): check onsets and StartTime; scan.lag_seconds "
            "moves it"
        ]
    return arrays
