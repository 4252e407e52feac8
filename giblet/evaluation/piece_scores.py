"""Scores of single pieces of held-out music, or of single stimuli."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import metric_of
from giblet.evaluation.moments import MomentScores, mean_over, score_row

COLUMNS = ["path", "piece", "column", "metric", "value", "low", "high", "n", "n_failed"]
_OF_ALL = ("onset_density_r",)  # a clip has no value of its own, only a share in that of all


def piece_rows(moments: MomentScores, of_clip: Sequence[str], seed: int) -> list[dict]:
    """A row for each piece, column and metric: ``piece column metric value low high n n_failed``.

    Parameters
    ----------
    moments : column, metric → (n_subjects, n_clips)
    of_clip : (n_clips,) name of each clip's piece; of a single piece there are no rows

    Values are means over subjects, then over the clips of a piece, with a 95 % bootstrap interval
    over those clips, which ``n`` counts.

    >>> rows = piece_rows({("brain", "note_f1"): np.array([[0.1, 0.3, 0.8]])}, [*"aab"], seed=0)
    >>> [(row["piece"], round(float(row["value"]), 2), row["n"]) for row in rows]
    [('a', 0.2, 2), ('b', 0.8, 1)]
    """
    clips: dict[str, list[int]] = {}
    for clip, name in enumerate(of_clip):
        clips.setdefault(name, []).append(clip)
    if len(clips) < 2:
        return []
    inside = {name: np.array(own) for name, own in clips.items()}
    return [
        {"piece": name} | score_row(column, metric, by_clip[own], seed)
        for (column, metric), scores in moments.items()
        if metric not in _OF_ALL
        for by_clip in [mean_over(scores, metric_of(metric).average)]
        for name, own in inside.items()
    ]


def piece_table(path: str, rows: Sequence[dict]) -> pd.DataFrame:
    """Rows of `piece_rows`, of any others none, as a table with the columns ``COLUMNS``."""
    own = [row for row in rows if "piece" in row]
    return pd.DataFrame(own).assign(path=path).reindex(columns=COLUMNS)
