"""The clock of a score beside that of the sound: onsets of notes against onsets in the sound."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from giblet.audio.mel import MelSettings, mel_spectrogram
from giblet.music.notes import Notes
from giblet.timing import count_samples, sample_edges, samples_duration

SAMPLE_RATE = 16000  # Hz, at which the sound is read
_SPECTRA = MelSettings(sample_rate=SAMPLE_RATE, n_mels=32, n_fft=512, hop_length=160)
RATE_HZ = _SPECTRA.frame_rate  # of onsets
_RANGE_DB = 50.0  # what is quieter than the loudest by more than this is silence
_SMOOTH = 0.02  # s, standard deviation of a Gaussian: onsets need not agree to the sample
LARGEST_LAG = 10.0  # s, that is searched
_NEAR = 0.5  # s: within this of a lag its fit is looked for in the other half
ALPHA = 0.05
NOTABLE = 0.05  # s: a smaller lag is not worth a warning
_LEAST_SHIFTS = 20  # of fewer no p-value could be below ALPHA
_FEW = 6  # pieces, that have too few orders
_N_ORDERS, _N_SHIFTS = 199, 999  # of the null of several pieces
_BEGINNING = 0.25  # s of a piece: sound and score both begin there, whatever they are
FACTS = ("score_lag_ms", "score_r", "score_p", "score_drift_ms")  # attributes


@dataclass(frozen=True)
class ScoreLag:
    """How much later the sound's onsets come than the score's, and whether that can be believed.

    Parameters
    ----------
    seconds : the lag of the best fit; ``score_offset`` larger by this corrects it
    correlation : of the score's onset density with the sound's onset envelope at that lag
    p_value : share of circular shifts of the score, or of other orders of many scores, that fit at
        least as well
    drift : lag of the second half of the notes minus that of the first, in s; NaN of several pieces
    """

    seconds: float
    correlation: float
    p_value: float
    drift: float

    @property
    def is_this_piece(self) -> bool:
        """Whether the score fits the sound better than by chance."""
        return self.p_value < ALPHA


def onset_envelope(sound: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
    """Rise of the log-mel spectrum of a sound, mean over bands: (n_frames,) dB at ``RATE_HZ``.

    ``sound`` as ``giblet.audio.mel.mel_spectrogram`` takes it, at ``SAMPLE_RATE``.
    """
    levels = mel_spectrogram(sound, _SPECTRA)
    levels = np.maximum(levels, levels.max() - _RANGE_DB)
    return np.maximum(np.diff(levels, axis=1, prepend=levels[:, :1]), 0).mean(axis=0)


def onset_density(notes: Notes, n_frames: int, offset: float = 0.0) -> np.ndarray:
    """Notes that begin in each frame, (n_frames,) at ``RATE_HZ``; those outside are left out.

    >>> notes = Notes(np.array([0.0, 0.004]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> onset_density(notes, 4, offset=0.02).tolist()
    [0.0, 0.0, 2.0, 0.0]
    """
    edges = sample_edges(n_frames, RATE_HZ) - samples_duration(0.5, RATE_HZ)
    return np.histogram(notes.onset + offset, edges)[0].astype(float)


def score_lag(density: np.ndarray, envelope: np.ndarray) -> ScoreLag | None:
    """The lag between the onsets of a score and those of the sound, by cross-correlation.

    The lag that fits best in the first half of the notes is looked up in the second half, and the
    other way round: at the lag of this piece the halves agree. The null is the same at every
    circular shift of the score, one a second; within half a second of each the best counts, so
    that a shift by a beat is no better than the true one.

    Parameters
    ----------
    density, envelope : (n_frames,) of `onset_density` and `onset_envelope`

    Returns
    -------
    lag : None of less than 20 s, and where one of the two never changes in one of the halves
    """
    near, step = count_samples(_NEAR, RATE_HZ), count_samples(2 * _NEAR, RATE_HZ)
    shifts = range(0, len(density) - step + 1, step)
    density, envelope = _smoothed(density), _smoothed(envelope)
    middle = np.searchsorted(np.cumsum(density), density.sum() / 2)
    first = np.arange(len(density)) < middle
    curves = [_correlations(density, envelope, half) for half in (first, ~first)]
    if len(shifts) < _LEAST_SHIFTS or not all(np.isfinite(curve).any() for curve in curves):
        return None
    whole = _correlations(density, envelope, np.ones(len(density), bool))
    n_most = min(count_samples(LARGEST_LAG, RATE_HZ), (len(density) - 1) // 2)
    own = [_best(curve, 0, n_most) for curve in curves]
    fits = np.mean(
        [
            [np.nan_to_num(curve[_around(curve, lag + shift, near)]).max() for shift in shifts]
            for curve, lag in zip(curves, own[::-1], strict=True)
        ],
        axis=0,
    )
    best = _best(whole, 0, n_most)
    return ScoreLag(
        seconds=samples_duration(best + _vertex(whole, best), RATE_HZ),
        correlation=float(whole[best]),
        p_value=float(np.mean(fits >= fits[0] - 1e-12)),
        drift=samples_duration(own[1] - own[0], RATE_HZ),
    )


def joint_lag(parts: Sequence[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> ScoreLag | None:
    """`score_lag` of several pieces together, each with its own seconds alone.

    That all are silent between pieces is no fit. The null gives every sound another one's score, in
    random orders; of fewer than six pieces every score is shifted circularly within its own piece
    instead. The first 0.25 s of each are left out.

    Parameters
    ----------
    parts : of each piece `onset_density` and `onset_envelope`, (n_frames,) both
    seed : of orders and shifts

    Returns
    -------
    lag : without a drift; None of less than 20 s, and where no two pieces have onsets
    """
    first = count_samples(_BEGINNING, RATE_HZ)
    parts = [(_smoothed(one[first:]), _smoothed(other[first:])) for one, other in parts]
    curves = {k: curve for k, part in enumerate(parts) if (curve := _products(*part)) is not None}
    n_frames = [len(curve) for curve, *_ in curves.values()]
    if len(curves) < 2 or sum(n_frames) < count_samples(2 * _NEAR * _LEAST_SHIFTS, RATE_HZ):
        return None
    n_most = min(count_samples(LARGEST_LAG, RATE_HZ), (int(np.median(n_frames)) - 1) // 2)
    lags, rng = np.arange(-n_most, n_most + 1), np.random.default_rng(seed)
    chosen = [parts[k] for k in curves]
    several, null = list(curves.values()), _by_shifts if len(curves) < _FEW else _by_orders
    whole = _pooled(several, lags)
    top = int(whole[1:-1].argmax()) + 1
    return ScoreLag(
        seconds=samples_duration(int(lags[top]) + _vertex(whole, top), RATE_HZ),
        correlation=float(whole[top]),
        p_value=null(chosen, several, lags, rng),
        drift=np.nan,
    )


def _by_orders(parts: Sequence[tuple], curves: Sequence[tuple], lags: np.ndarray, rng) -> float:
    """p of the best fit of ``curves`` among those with scores in other orders."""
    own, n_as_good = _pooled(curves, lags).max(), 0
    for _ in range(_N_ORDERS):
        pairs = zip(rng.permutation(len(parts)), parts, strict=True)
        both = ((parts[j][0], envelope) for j, (_, envelope) in pairs)
        cut = ((d[: len(e)], e[: len(d)]) for d, e in both)
        other = [curve for one in cut if (curve := _products(*one)) is not None]
        n_as_good += bool(other) and bool(_pooled(other, lags).max() >= own - 1e-12)
    return (1 + n_as_good) / (1 + _N_ORDERS)


def _by_shifts(_parts: Sequence[tuple], curves: Sequence[tuple], lags: np.ndarray, rng) -> float:
    """p of the best fit among those of scores that are shifted, each within its own piece.

    Each piece counts with its best lag within half a second: a shift by a beat is no better than
    the true one.
    """
    from scipy.ndimage import maximum_filter1d

    width = 2 * count_samples(_NEAR, RATE_HZ) + 1
    curves = [(maximum_filter1d(c, width, mode="wrap"), *power) for c, *power in curves]
    own, n_as_good = _pooled(curves, lags).max(), 0
    for _ in range(_N_SHIFTS):
        moved = [(np.roll(c, int(rng.integers(len(c)))), *power) for c, *power in curves]
        n_as_good += bool(_pooled(moved, lags).max() >= own - 1e-12)
    return (1 + n_as_good) / (1 + _N_SHIFTS)


def _pooled(curves: Sequence[tuple], lags: np.ndarray) -> np.ndarray:
    """Pearson's r (n_lags,) over pieces."""
    density, envelope = (sum(curve[k] for curve in curves) for k in (1, 2))
    product = sum(curve[lags % len(curve)] for curve, *_ in curves)
    return np.asarray(product / np.sqrt(density * envelope))


def _products(density: np.ndarray, envelope: np.ndarray) -> tuple | None:
    """Products (n_frames,) of the two, centred, by lag, and the power of each.

    Lags after the first half are negative ones. Products are of the seconds that both have then,
    scaled to the whole piece's: a beat fits as well at all lags. None where one of the two does not
    change.
    """
    if len(density) < 3 or np.ptp(density) == 0 or np.ptp(envelope) == 0:
        return None
    density, envelope = (one - one.mean() for one in (density, envelope))
    n = len(density)
    spectra = np.fft.rfft(envelope, 2 * n) * np.fft.rfft(density, 2 * n).conj()
    lags = (np.arange(n) + n // 2) % n - n // 2
    products = np.fft.irfft(spectra, n=2 * n)[lags] * n / (n - np.abs(lags))
    return products, density @ density, envelope @ envelope


def lag_facts(lag: ScoreLag | None) -> dict[str, float]:
    """Attributes ``score_lag_ms``, ``score_r``, ``score_p``, ``score_drift_ms``; NaN if unknown."""
    values = [np.nan] * 4
    if lag is not None:
        values = [1000 * lag.seconds, lag.correlation, lag.p_value, 1000 * lag.drift]
    return dict(zip(FACTS, map(float, values), strict=True))


def lag_from_facts(facts: Mapping[str, Any]) -> ScoreLag | None:
    """The lag of a file, by the attributes of `lag_facts`."""
    milliseconds, correlation, p_value, drift = (float(facts[name]) for name in FACTS)
    if np.isnan(milliseconds):
        return None
    return ScoreLag(milliseconds / 1000, correlation, p_value, drift / 1000)


def lag_sentence(lag: ScoreLag | None) -> str:
    """The lag in words.

    >>> lag_sentence(ScoreLag(0.18, 0.871, 0.01, -0.02))
    'the sound is 180 ms behind the score (r = .871, p = .01; drift -20 ms)'
    """
    if lag is None:
        return "the score cannot be compared with the sound: too short, or no onsets in one of them"
    r = f"{lag.correlation:.3f}".replace("0.", ".")
    p = f"{lag.p_value:.2g}".replace("0.", ".")
    drift = "" if np.isnan(lag.drift) else f"; drift {1000 * lag.drift:.0f} ms"
    return f"the sound is {1000 * lag.seconds:.0f} ms behind the score (r = {r}, p = {p}{drift})"


def lag_warnings(lag: ScoreLag | None, offset: float) -> list[str]:
    """A line where the score is of another piece, by its onsets, or late or early.

    ``offset``: the ``score_offset``, in s, at which the lag was found.
    """
    if lag is None:
        return [lag_sentence(lag)]
    if not lag.is_this_piece:
        return [
            f"the score fits the sound no better than by chance (r = {lag.correlation:.2f}, p = "
            f"{lag.p_value:.2g} among its nulls): is it of another piece, of another tempo, "
            f"or more than {LARGEST_LAG:g} s away?"
        ]
    lines = []
    if abs(lag.seconds) > NOTABLE:
        lines.append(f"{lag_sentence(lag)}: score_offset: {offset + lag.seconds:.3f} corrects it")
    if abs(lag.drift) > NOTABLE:
        lines.append(
            f"the lag between score and sound drifts by {1000 * lag.drift:.0f} ms from the first "
            "to the second half of the notes: the score is of another tempo"
        )
    return lines


def length_warnings(notes: Notes, duration: float, offset: float) -> list[str]:
    """A line where notes begin before or after the sound, which lasts ``duration`` s."""
    onset = notes.onset + offset
    outside = int(((onset < 0) | (onset >= duration)).sum())
    if not outside:
        return []
    return [
        f"{outside} of {len(notes)} notes of the score begin outside the sound ({onset[0]:.1f} to "
        f"{onset[-1]:.1f} s, the sound lasts {duration:.1f} s), and are left out"
    ]


def _smoothed(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values.astype(float), _SMOOTH * RATE_HZ, mode="constant")


def _correlations(density: np.ndarray, envelope: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Pearson's r (n_frames,) in frames ``here`` of the envelope and the density, rolled by k.

    NaN where one of the two does not change.
    """
    weight = here.astype(float)

    def sums(of_envelope: np.ndarray, of_density: np.ndarray) -> np.ndarray:
        """``sum_t of_envelope[t] * of_density[t - k]`` for each k."""
        product = np.fft.rfft(of_envelope) * np.fft.rfft(of_density).conj()
        return np.fft.irfft(product, n=len(density))

    n, total = weight.sum(), sums(weight, density)
    mean = (weight * envelope).sum() / max(n, 1)
    centred = weight * (envelope - mean)
    power = (centred**2).sum() * (sums(weight, density**2) - total**2 / max(n, 1))
    floor = 1e-9 * (envelope**2).sum() * (density**2).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        r = sums(centred, density) / np.sqrt(power)
    return np.where(power > floor, r, np.nan)


def _around(curve: np.ndarray, centre: int, n_most: int) -> np.ndarray:
    return np.arange(centre - n_most, centre + n_most + 1) % len(curve)


def _best(curve: np.ndarray, centre: int, n_most: int) -> int:
    """The lag of the largest value within ``n_most`` of ``centre``; NaN counts as nothing."""
    values = np.nan_to_num(curve[_around(curve, centre, n_most)], nan=-1.0)
    return centre - n_most + int(values.argmax())


def _vertex(curve: np.ndarray, lag: int) -> float:
    """Where, within half a frame of ``lag``, the parabola through three values has its top."""
    before, at, after = curve[_around(curve, lag, 1)]
    bend = before - 2 * at + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
