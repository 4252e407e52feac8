"""Intervals of what is decoded of single stimuli: stretches of TRs are drawn again and again."""

from collections.abc import Iterator, Sequence

import numpy as np

from giblet.evaluation.moments import N_BOOTSTRAP

_SHARES = (0.025, 0.975)
_MOST_PAIRS = 10**8  # of stimuli in all draws: above 316 stimuli there are fewer draws
_FEWEST_DRAWS = 100
_FEWEST_BLOCKS = 4  # of a stimulus: fewer give no interval


def tr_intervals(
    guesses: Sequence[np.ndarray], truth: np.ndarray, block_trs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % bootstrap intervals of each stimulus' correlation, and of its identification.

    Stretches of TRs are drawn, as neighbouring TRs are alike (circular block bootstrap, Politis and
    Romano 1992).

    Parameters
    ----------
    guesses : of each subject (n_stimuli, n_trs, n_features)
    truth : (n_stimuli, n_trs, n_features)
    block_trs : TRs of a stretch

    Returns
    -------
    r, better_than : (2, n_stimuli) each, low and high, of means over subjects. ``r`` is the
        correlation of a stimulus' estimates with its truth, over TRs and features.
        ``better_than`` is the share of the other truths with a lower correlation. NaN of fewer
        than four stretches. A draw has the same TRs in all stimuli and subjects; of 1,000 stimuli
        there are 100 draws instead of 1,000.
    """
    n_stimuli, n_trs, _ = truth.shape
    if n_trs < max(2, _FEWEST_BLOCKS * block_trs):
        return np.full((2, n_stimuli), np.nan), np.full((2, n_stimuli), np.nan)
    n_draws = int(np.clip(_MOST_PAIRS // n_stimuli**2, _FEWEST_DRAWS, N_BOOTSTRAP))
    n_blocks = -(-n_trs // block_trs)
    first = np.random.default_rng(seed).integers(n_trs, size=(n_draws, n_blocks, 1))
    drawn = ((first + np.arange(block_trs)) % n_trs).reshape(n_draws, -1)[:, :n_trs]
    counts = np.stack([np.bincount(draw, minlength=n_trs) for draw in drawn])
    by_subject = [list(_drawn_scores(guess, truth, counts)) for guess in guesses]
    scores = np.nanmean(by_subject, axis=0)  # (n_draws, 2, n_stimuli)
    r, better = np.nanquantile(scores, _SHARES, axis=0).transpose(1, 0, 2)
    return r, better


def _drawn_scores(guess: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
    """``r`` and ``better_than`` (2, n_stimuli) of each draw, which has TRs ``counts`` times."""
    sums = [values.sum(axis=2).T for values in (guess, truth)]  # (n_trs, n_stimuli)
    squares = [(values**2).sum(axis=2).T for values in (guess, truth)]
    products = np.matmul(guess.transpose(1, 0, 2), truth.transpose(1, 2, 0))
    n = truth.shape[1] * truth.shape[2]
    for count in counts:
        of_guess, of_truth = (count @ one for one in sums)
        spread = [
            np.sqrt(np.clip(n * (count @ square) - total**2, 0, None))
            for square, total in zip(squares, (of_guess, of_truth), strict=True)
        ]
        covered = n * np.tensordot(count, products, 1) - np.outer(of_guess, of_truth)
        with np.errstate(invalid="ignore", divide="ignore"):
            yield correlation_scores(covered / np.outer(*spread))


def correlation_scores(r: np.ndarray) -> np.ndarray:
    """A stimulus' own correlation, and the share of the others that are lower: (2, n_stimuli).

    ``r`` (n_stimuli, n_stimuli): estimates by truths. A tie counts half.

    >>> correlation_scores(np.array([[0.5, 0.1], [0.3, 0.2]])).tolist()
    [[0.5, 0.2], [1.0, 0.0]]
    """
    own = r.diagonal()
    lower = (r < own[:, None]).sum(axis=1) + ((r == own[:, None]).sum(axis=1) - 1) / 2
    return np.stack([own, np.where(np.isnan(own), np.nan, lower / (len(r) - 1))])
