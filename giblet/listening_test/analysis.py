"""Statistics of a listening test: shares of right choices and mean ratings, with intervals."""

import logging

import numpy as np
import pandas as pd

from giblet.listening_test.trials import REFERENCE

EVERYONE = "all"
LEAST_REFERENCE, MOST_BELOW = 90.0, 0.15  # of the hidden reference: BS.1534-3, 4.1.2
_CHANCE = 0.5
_logger = logging.getLogger(__name__)


def crossed_mean(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values (n_listeners, n_clips), and the ends of its interval, low and high.

    A mixed model with crossed random listeners and clips: value = mean + listener + clip + rest.
    Its variances come from mean squares (Searle, Casella and McCulloch 1992, chapter 4), and the
    mean's degrees of freedom from Satterthwaite's formula. The interval is for other listeners
    *and* other clips. NaN ends for fewer than two of either.

    >>> rng = np.random.default_rng(0)
    >>> values = 5 + rng.normal(size=(8, 1)) + rng.normal(size=10) + rng.normal(size=(8, 10))
    >>> [round(one, 1) for one in crossed_mean(values)]
    [4.8, 4.1, 5.4]
    """
    from scipy.stats import t

    n_listeners, n_clips = values.shape
    mean = float(values.mean())
    if min(values.shape) < 2:
        return mean, float("nan"), float("nan")
    by_listener, by_clip = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_listener[:, None] - by_clip + mean
    freedom = np.array([n_listeners - 1, n_clips - 1, (n_listeners - 1) * (n_clips - 1)])
    squares = [n_clips * np.square(by_listener - mean).sum()]
    squares += [n_listeners * np.square(by_clip - mean).sum(), np.square(rest).sum()]
    mean_squares = np.array(squares) / freedom
    signs = np.array([1.0, 1.0, -1.0])
    # A variance cannot be below zero: where an effect is smaller than the rest, it has none.
    kept = np.append(mean_squares[:2] > mean_squares[2], True)
    if not kept[:2].all():
        signs = np.where(kept, [1.0, 1.0, 1.0 - kept[:2].sum()], 0.0)
    variance = float(signs @ mean_squares) / values.size
    spread = float((np.square(signs * mean_squares) / freedom).sum()) / values.size**2
    if spread == 0:
        return mean, mean, mean
    half = float(t.ppf((1 + level) / 2, max(1.0, variance**2 / spread))) * variance**0.5
    return mean, mean - half, mean + half


def choice_table(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of right choices by column, of each listener and of all.

    Columns ``kind column listener value low high n p interval``. Intervals of a listener and all
    two-sided p against a half are binomial (Clopper and Pearson 1934); the binomial p takes trials
    to be independent. The interval of all is that of `crossed_mean`, cut at 0 and 1.
    """
    from scipy.stats import binomtest

    rows = []
    for column, part in answers[answers["kind"] == "choice"].groupby("column", sort=False):
        for listener, own in [*part.groupby("listener"), (EVERYONE, part)]:
            test = binomtest(int(own["value"].sum()), len(own), _CHANCE)
            low, high = test.proportion_ci()
            kind = "binomial"
            if listener == EVERYONE and part["listener"].nunique() > 1:
                _, low, high = crossed_mean(_grid(part))
                low, high, kind = *np.clip([low, high], 0, 1), "mixed model"
            row = {"kind": "choice", "column": column, "listener": listener}
            row |= {"value": own["value"].mean(), "low": low, "high": high, "n": len(own)}
            rows.append(row | {"p": test.pvalue, "interval": kind})
    return pd.DataFrame(rows)


def rating_table(answers: pd.DataFrame) -> pd.DataFrame:
    """Mean ratings by column, of each listener and of all, as `choice_table` without p.

    Listeners who rate the hidden reference below 90 on more than 15 % of the screens have rows of
    their own but are left out of ``all`` (ITU-R BS.1534-3), with a warning.
    """
    ratings = answers[answers["kind"] == "rating"]
    rejected = unreliable_listeners(ratings)
    if rejected:
        names, rule = ", ".join(rejected), "rated the hidden reference below 90 too often"
        _logger.warning("left out of the mean ratings: %s (%s; BS.1534-3)", names, rule)
    rows = []
    for column, part in ratings.groupby("column", sort=False):
        kept = part[~part["listener"].isin(rejected)]
        groups = [*part.groupby("listener"), *([(EVERYONE, kept)] if len(kept) else [])]
        for listener, own in groups:
            mean, low, high, kind = *_t_interval(own["value"].to_numpy()), "t"
            if listener == EVERYONE and kept["listener"].nunique() > 1:
                mean, low, high, kind = *crossed_mean(_grid(kept)), "mixed model"
            row = {"kind": "rating", "column": column, "listener": listener}
            low, high = np.clip([low, high], 0, 100)
            row |= {"value": mean, "low": low, "high": high, "n": len(own)}
            rows.append(row | {"p": float("nan"), "interval": kind})
    return pd.DataFrame(rows)


def unreliable_listeners(ratings: pd.DataFrame) -> list[str]:
    """Listeners who rate the hidden reference below 90 on more than 15 % of the screens."""
    reference = ratings[ratings["column"] == REFERENCE]
    below = (reference["value"] < LEAST_REFERENCE).groupby(reference["listener"]).mean()
    return sorted(below.index[below > MOST_BELOW])


def _grid(part: pd.DataFrame) -> np.ndarray:
    """Values (n_listeners, n_clips) of one column: each listener answers each clip once."""
    return part.pivot(index="listener", columns="clip", values="value").to_numpy()


def _t_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over clips, and its 95 % interval; NaN ends for a single one."""
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half
