"""The clock of a score beside that of the sound: onsets of notes against onsets in the sound."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import factorial, prod
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
_LEAST_SHIFTS = 20  # or orders: of fewer no p-value could be below ALPHA
_N_ORDERS = 199  # of the null of several pieces
_MOST_ENUMERATED = 5  # pieces, of which all orders are tried
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


def joint_lag(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    music: np.ndarray | None = None,
    seed: int = 0,
) -> ScoreLag | None:
    """`score_lag` of several pieces together, each with its own seconds alone.

    That all are silent between pieces is no fit. r at a lag is of the seconds in which the score
    and the sound of a piece overlap, minus their means, in the pieces of which half or more
    overlaps. The null gives every sound another one's score: all orders of up to five pieces, 199
    random ones of more. Where there are fewer than 20 orders (two or three pieces, or recordings of
    one score) the null is every order at every circular shift, one a second, the same in all
    pieces: what is compared is the r of each piece, within half a second of the lag that fits best
    in the others. The first 0.25 s of each are left out. Of draws of two or three unrelated pieces
    p is below .05 in .025 to .075 (``benchmarks/score_lag_p.py``).

    Parameters
    ----------
    parts : of each piece `onset_density` and `onset_envelope`, (n_frames,) both
    music : (n_pieces,) int, equal for pieces of one score: their exchange is no other order
    seed : of orders and shifts

    Returns
    -------
    lag : without a drift; None of less than 20 s, where no two pieces have onsets, and where
        orders and shifts are fewer than 20
    """
    smooth = without_beginnings(parts)
    usable = {k: curve for k, part in enumerate(smooth) if (curve := _products(*part))[0].any()}
    parts, curves = [smooth[k] for k in usable], list(usable.values())
    n_frames = [len(density) for density, _ in parts]
    if len(parts) < 2 or sum(n_frames) < count_samples(2 * _NEAR * _LEAST_SHIFTS, RATE_HZ):
        return None
    n_most = min(count_samples(LARGEST_LAG, RATE_HZ), (int(np.median(n_frames)) - 1) // 2)
    whole, fits = _pooled(curves, n_most)
    top = int(fits[1:-1].argmax()) + 1
    own = np.arange(len(parts)) if music is None else np.asarray(music)[list(usable)]
    alike = np.unique(own, return_counts=True)[1].tolist()
    n_orders = factorial(len(parts)) // prod(map(factorial, alike))
    if n_orders >= _LEAST_SHIFTS:
        fits = _by_order(parts, own, n_most, np.random.default_rng(seed))
    else:
        fits = _by_order_and_shift(parts, own, n_most)
    if len(fits) < _LEAST_SHIFTS:
        return None
    seconds = samples_duration(top - n_most + _vertex(whole, top), RATE_HZ)
    p_value = float(np.mean(fits >= fits[0] - 1e-12))
    return ScoreLag(seconds, float(whole[top]), p_value, drift=np.nan)


def without_beginnings(parts: Sequence[tuple]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Onset density and envelope of each of ``parts``, smoothed, from 0.25 s on."""
    first = count_samples(_BEGINNING, RATE_HZ)
    return [(_smoothed(one[first:]), _smoothed(other[first:])) for one, other in parts]


def _by_order(
    parts: Sequence[tuple], music: np.ndarray, n_most: int, rng: np.random.Generator
) -> np.ndarray:
    """The largest r of each order of the scores, (n_orders,); the given order is the first."""
    ordered = _reordered(parts, music, rng)
    return np.array([_pooled(curves, n_most)[0].max() for curves in ordered])


def _by_order_and_shift(parts: Sequence[tuple], music: np.ndarray, n_most: int) -> np.ndarray:
    """Fits (n_orders * n_shifts,) of scores in each order at each shift, none of both first.

    A fit is the mean over pieces of the best r within half a second of the lag, plus the shift,
    that fits best in the others: shifts by a beat, or a bar, are no worse than the true one.
    """
    from scipy.ndimage import maximum_filter1d

    near, step = count_samples(_NEAR, RATE_HZ), count_samples(2 * _NEAR, RATE_HZ)
    shifts = np.arange(0, max(len(density) for density, _ in parts) - step + 1, step)
    fits = []
    for curves in _reordered(parts, music, np.random.default_rng(0)):
        best = []
        for k, curve in enumerate(curves):
            others = [other for j, other in enumerate(curves) if j != k]
            lag = int(_pooled(others, n_most)[1].argmax()) - n_most
            r = maximum_filter1d(_fits(curve)[0], 2 * near + 1, mode="wrap")
            best.append(r[(len(r) // 2 + lag + shifts) % len(r)])
        fits.append(np.mean(best, axis=0))
    return np.concatenate(fits)


def _reordered(
    parts: Sequence[tuple], music: np.ndarray, rng: np.random.Generator
) -> Iterator[list[np.ndarray]]:
    """`_products` of each sound with the score that it has in each order, the given one first.

    All orders of few pieces, else random ones; each order of ``music`` (n_pieces,) once.
    """
    n = len(parts)
    orders: Iterable[Sequence[int]] = permutations(range(n))
    if n > _MOST_ENUMERATED:
        orders = [range(n), *(rng.permutation(n).tolist() for _ in range(_N_ORDERS))]

    @lru_cache(_MOST_ENUMERATED**2)
    def products(score: int, sound: int) -> np.ndarray:
        density, envelope = parts[score][0], parts[sound][1]
        return _products(density[: len(envelope)], envelope[: len(density)])

    done = set()
    for order in orders:
        if (key := music[list(order)].tobytes()) not in done:
            done.add(key)
            yield [products(score, sound) for sound, score in enumerate(order)]


def _pooled(curves: Sequence[np.ndarray], n_most: int) -> tuple[np.ndarray, np.ndarray]:
    """`_fits` of all pieces at lags of up to ``n_most`` frames, (2 * n_most + 1,) each.

    ``curves`` as of `_products`: a piece adds nothing to lags that it lacks.
    """
    total = np.zeros((4, 2 * n_most + 1))
    for curve in curves:
        own = curve.shape[1] // 2
        n = min(own, n_most)
        total[:, n_most - n : n_most + n + 1] += curve[:, own - n : own + n + 1]
    return _fits(total)


def _fits(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's r, and r times the root of the frames that count, (n_lags,) each.

    By the latter lags are compared: by chance r is larger where fewer frames count. ``sums``
    (4, n_lags) as of `_products`; 0 where nothing changes.
    """
    powers = np.sqrt(sums[1] * sums[2])
    r = np.divide(sums[0], powers, out=np.zeros(len(powers)), where=powers > 0)
    return r, r * np.sqrt(sums[3])


def _products(density: np.ndarray, envelope: np.ndarray) -> np.ndarray:
    """Sums of products and squares of the two, (4, n_lags), at lags of up to half of the piece.

    Lags of the envelope behind the density, in frames, from the most negative on. Sums are over the
    seconds in which the two overlap then, of the products of their deviations from the means there,
    of the squares of the density's, and of the envelope's; the last row is the number of these
    frames. 0 where one of the two never changes.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = len(density)
    lags = np.arange(-((n - 1) // 2), (n - 1) // 2 + 1)
    if n < 3 or np.ptp(density) == 0 or np.ptp(envelope) == 0:
        return np.zeros((4, len(lags)))
    both = [one - one.mean() for one in (density, envelope)]  # exact sums of squares
    size = next_fast_len(2 * n, real=True)
    products = irfft(rfft(both[1], size) * rfft(both[0], size).conj(), size)[lags]
    early, late = np.maximum(-lags, 0), np.maximum(lags, 0)
    sums = []
    for one, start, end in zip(both, (early, late), (n - late, n - early), strict=True):
        up_to = np.zeros((2, n + 1))  # sums of the values, and of their squares
        np.cumsum([one, one**2], axis=1, out=up_to[:, 1:])
        sums.append(up_to[:, end] - up_to[:, start])
    (first, second), n_common = sums, n - np.abs(lags)
    means = first[0] * second[0] / n_common
    powers = [np.maximum(own[1] - own[0] ** 2 / n_common, 0) for own in sums]
    return np.stack([products - means, *powers, n_common])


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
