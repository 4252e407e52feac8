"""Which of many short scores do not fit their sounds: each beside the scores of other sounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from giblet.music.score_sync import ALPHA, NOTABLE, RATE_HZ, without_beginnings
from giblet.timing import count_samples

LIKELY = 0.95  # probability above which a score is named as wrong
_FEWEST = 10  # sounds, of which the usual fit of a right score can be estimated
_N_OTHERS, _LEAST_OTHERS = 99, 19  # scores of other sounds that each sound is compared with
_STEP = 1.0  # s, between circular shifts of the others
_MOST_RIGHT = 0.99  # of right scores fit better than what is taken for one
_MOST_SEARCHED = 10  # of the named, whose sound is compared with all scores
_N_ITERATIONS = 200
_FIRST_SHARE = 0.1  # of wrong scores, before the first iteration
_LEAST_SPREAD = 0.05  # standard deviation of fits
_LARGEST_R = 0.999  # Fisher's z of 1 is infinite


@dataclass(frozen=True)
class ScoreFits:
    """How well each sound's own score fits it, beside others' scores.

    r : (n_parts,) correlation of onset density and onset envelope; NaN where it is not known
    others : (n_parts,) share of the 99 others that fit this sound as well or better; NaN as r
    wrong : (n_parts,) probability that the score is of another sound; NaN where it is not known
    better : of the first ten that are `named`, the part whose score fits this sound, if one does
    """

    r: np.ndarray
    others: np.ndarray
    wrong: np.ndarray
    better: dict[int, int]

    @property
    def named(self) -> list[int]:
        """Parts whose score is wrong with a probability above .95, the most probable first.

        Not those whose own score fits better than 95 % of the others: one sound's onsets may be
        softer than the rest's.
        """
        return _named(self.wrong, self.others)


def score_fits(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    lag: float,
    music: np.ndarray | None = None,
    seed: int = 0,
) -> ScoreFits | None:
    """The fit of each part's own score at the lag of all, beside 99 scores of other sounds.

    A fit is the largest r within 50 ms of the lag, without the first 0.25 s, as Fisher's z. The
    others are drawn from the scores of other music, each at a circular shift of whole seconds, and
    are repeated or cut to the sound's length. Two groups of fits are estimated (local false
    discovery rate, Efron 2008, doi:10.1214/07-STS236). That of a wrong score has the mean and the
    deviation of the others with this sound; those of right scores share a normal distribution.

    Parameters
    ----------
    parts : of each sound `giblet.music.score_sync.onset_density` and `onset_envelope`, (n_frames,)
    lag : s of the sounds behind their scores, as of `giblet.music.score_sync.joint_lag`
    music : (n_parts,) int, equal for parts of one score: these are no others
    seed : of the others

    Returns
    -------
    fits : None of fewer than ten sounds that can be compared
    """
    parts = without_beginnings(parts)
    same = np.arange(len(parts)) if music is None else np.asarray(music)
    near = count_samples(NOTABLE, RATE_HZ)
    lags = count_samples(lag, RATE_HZ) + np.arange(-near, near + 1)
    usable = [k for k, part in enumerate(parts) if _can_be_compared(*part, lags)]
    others = {k: [j for j in usable if same[j] != same[k]] for k in usable}
    rng, fits = np.random.default_rng(seed), np.full((4, len(parts)), np.nan)
    for k, comparable in others.items():
        density, envelope = parts[k]
        drawn = _drawn([parts[j][0] for j in comparable], len(envelope), rng)
        if len(drawn) >= _LEAST_OTHERS:
            own, *beside = _fit([density, *drawn], envelope, lags)
            fits[:, k] = own, np.mean(beside), np.std(beside), np.mean(np.array(beside) >= own)
    known = np.isfinite(fits).all(axis=0)
    if known.sum() < _FEWEST:
        return None
    wrong = np.full(len(parts), np.nan)
    wrong[known], least = _probability_wrong(*fits[:3, known])
    better = {}
    for k in _named(wrong, fits[3])[:_MOST_SEARCHED]:
        of_others = _fits_of_whole([parts[j][0] for j in others[k]], parts[k][1], lags)
        by_chance = fits[1, k] + fits[2, k] * _largest_by_chance(len(of_others))
        if of_others.max() > max(by_chance, least):
            better[k] = others[k][int(of_others.argmax())]
    return ScoreFits(np.tanh(fits[0]), fits[3], wrong, better)


def _named(wrong: np.ndarray, fit_as_well: np.ndarray) -> list[int]:
    order = np.argsort(-np.nan_to_num(wrong), kind="stable")
    return [k for k in order.tolist() if wrong[k] > LIKELY and fit_as_well[k] > ALPHA]


def _can_be_compared(density: np.ndarray, envelope: np.ndarray, lags: np.ndarray) -> bool:
    """Whether both change, and half of them or more overlaps at ``lags`` (frames)."""
    is_long = 2 * np.abs(lags).max() < len(envelope)
    return bool(is_long and np.ptp(density) > 0 and np.ptp(envelope) > 0)


def _drawn(scores: Sequence[np.ndarray], n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Up to 99 of all circular shifts of ``scores``, repeated or cut to ``n`` frames."""
    step = count_samples(_STEP, RATE_HZ)
    ends = np.cumsum([max(1, len(score) // step) for score in scores])
    n_all = int(ends[-1]) if len(ends) else 0
    chosen = rng.choice(n_all, min(n_all, _N_OTHERS), replace=False)
    which = np.searchsorted(ends, chosen, side="right")
    shifts = step * (ends[which] - chosen)
    return [np.resize(np.roll(scores[j], k), n) for j, k in zip(which, shifts, strict=True)]


def _fits_of_whole(
    scores: Sequence[np.ndarray], envelope: np.ndarray, lags: np.ndarray
) -> np.ndarray:
    """`_fit` of each of ``scores`` in the seconds that it shares with the sound, (n_scores,).

    0 where that is less than half of the sound.
    """
    n, fits = len(envelope), np.zeros(len(scores))
    for k, score in enumerate(scores):
        if 2 * len(score) >= n:
            fits[k] = _fit([score[:n]], envelope[: len(score)], lags)[0]
    return fits


def _fit(densities: Sequence[np.ndarray], envelope: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Fisher's z of the largest r over ``lags`` (frames of the envelope behind the density).

    Of each of ``densities``, (n_frames,) as the envelope is: (n_densities,). r is of the frames in
    which the two overlap; 0 where one does not change there.
    """
    n, at = len(envelope), np.arange(len(envelope))[:, None] + lags  # (n_frames, n_lags)
    inside = (at >= 0) & (at < n)
    heard = np.where(inside, (envelope - envelope.mean())[np.clip(at, 0, n - 1)], 0)
    written = np.stack(densities)
    written = written - written.mean(axis=1, keepdims=True)
    n_common, sums = inside.sum(axis=0), (written @ inside, heard.sum(axis=0))
    products = written @ heard - sums[0] * sums[1] / n_common
    powers = written**2 @ inside - sums[0] ** 2 / n_common
    powers = powers * ((heard**2).sum(axis=0) - sums[1] ** 2 / n_common)
    floor = 1e-12 * max(float(powers.max()), np.finfo(float).tiny)
    r = np.divide(products, np.sqrt(np.maximum(powers, floor)))
    return np.arctanh(np.clip(r.max(axis=1), -_LARGEST_R, _LARGEST_R))


def _probability_wrong(
    own: np.ndarray, mean: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, float]:
    """Of fits ``own``, beside others' with ``mean`` and ``spread``, all (n_sounds,).

    Also the fit that 99 % of the right scores exceed.

    By expectation and maximisation. One right and one wrong score are added to the number of each.
    A fit below the mean of the others counts as that mean, one above the usual fit as the usual.
    """
    from scipy.special import expit
    from scipy.stats import norm

    spread = np.maximum(spread, _LEAST_SPREAD)
    wrong = np.full(len(own), _FIRST_SHARE)
    for _ in range(_N_ITERATIONS):
        share, right = (wrong.sum() + 1) / (len(own) + 2), 1 - wrong
        usual = np.average(own, weights=right)
        deviation = max(np.sqrt(np.average((own - usual) ** 2, weights=right)), _LEAST_SPREAD)
        at = np.clip(own, mean, np.maximum(mean, usual))
        odds = norm.logpdf(at, mean, spread) - norm.logpdf(at, usual, deviation)
        odds += np.log(share) - np.log(1 - share)
        wrong = np.where(mean < usual, expit(odds), share)
    return wrong, float(norm.isf(_MOST_RIGHT, usual, deviation))


def _largest_by_chance(n: int) -> float:
    """What the largest of ``n`` standard normal values exceeds with a probability of .05."""
    from scipy.stats import norm

    return float(norm.isf(ALPHA / n))
