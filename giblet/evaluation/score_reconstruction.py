"""The score of held-out music through tokens, latents and brain, with nulls and all scores."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from giblet.alignment.voxels import Regions
from giblet.audio.metrics.identify import identification_shares_p
from giblet.config.sections import DecodingConfig
from giblet.evaluation.brain_scores import add_identification, decode_brains, sound_clips
from giblet.evaluation.held_out_score import HeldOutScore
from giblet.evaluation.moments import (
    BRAIN,
    SHUFFLED,
    Scored,
    difference_rows,
    moment_rows,
)
from giblet.evaluation.nulls import null_shifts
from giblet.evaluation.piece_scores import piece_rows
from giblet.evaluation.score_codes import N_DRAWS, Levels, ScoreCode
from giblet.log import progress
from giblet.music.note_metrics import LATENTS, SCORE_METRICS, SOUND, clip_scores
from giblet.music.notes import Notes
from giblet.music.tokens import detokenize, tokenize
from giblet.timing import tr_onsets

COLUMNS = ["path", "column", "level", "metric", "value", "low", "high", "n", "n_failed"]
COLUMNS += ["chance", "p"]
_NAMES = {BRAIN: "score_brain", SHUFFLED: "score_brain_shuffled"}


def reconstruct_score(
    held: HeldOutScore,
    code: ScoreCode,
    decoding: DecodingConfig,
    seed: int,
    regions: Regions | None = None,
) -> tuple[dict[str, Notes], list[dict]]:
    """Notes of the held-out TRs by column, and rows of a table with the columns ``COLUMNS``.

    ``original`` is the score itself. ``score`` went through tokens, the ceiling; ``score_latent``
    through the code; ``score_brain`` is decoded from BOLD (notes of the first subject, scores are
    means over subjects). Nulls: ``score_brain_shuffled`` (what was decoded for other clips),
    ``score_prior`` (a code that knows nothing) and ``score_other`` (other passages). Where clips
    are of several pieces there are also rows with a ``piece``, see `piece_rows`.

    Raises GibletError as ``held.check`` does.
    """
    held.check()
    data, original = held.data, held.passage("test")
    own: Levels = {name: values[data.where("test")] for name, values in code.code.items()}
    levels = {"score_latent": code.drawn(own), "score_prior": code.unknown(seed)}
    brains: list[Levels] = []
    if data.bold is not None:
        decoded = {
            name: decode_brains(values, data, held.t_r, decoding, regions)
            for name, values in progress(code.code.items(), "decoding", "levels")
        }
        brains = _by_subject(decoded, BRAIN)
        levels |= {BRAIN: brains, SHUFFLED: _by_subject(decoded, SHUFFLED)[:1]}
    pieces = {"score": [_through_tokens(original)], "score_other": other_passages(held)}
    together = iter(code.notes([one for several in levels.values() for one in several], seed))
    pieces |= {c: [next(together) for _ in several] for c, several in levels.items()}

    by_notes = _scored_notes(held, original, pieces, seed)
    rows = _rows(by_notes, "", _sound_p(held, pieces, by_notes, decoding, seed), held, seed)
    by_piece = piece_rows(by_notes.moments, held.clip_pieces, seed)
    rows += [row | {"column": _NAMES.get(row["column"], row["column"])} for row in by_piece]
    for name, truth in code.shown.items():
        views = {"score_latent": [code.views(own)[name]]}
        if brains:
            views[BRAIN] = [code.views(one)[name] for one in brains]
        rows += _level_rows(held, code, name, truth, views, decoding, seed)
    heard = {"original": original} | {_NAMES.get(c, c): notes[0] for c, notes in pieces.items()}
    return heard, rows


def other_passages(held: HeldOutScore) -> list[Notes]:
    """Passages of the training part, each as long as the test part: a null with the same style.

    Of other pieces, where the training part has one of which nothing is held out.
    """
    stretches = held.other_stretches()
    training, n_train = held.passage_of(stretches), sum(map(len, stretches))
    n_test = len(held.data.where("test"))
    n_times = -(-2 * n_test // n_train) + 1
    edges = tr_onsets(n_times * n_train + n_test + 1, held.t_r)
    again = Notes.joined([training.moved(edges[k * n_train]) for k in range(n_times)])
    starts = np.unique(np.arange(N_DRAWS) * n_train // N_DRAWS)
    return [again.between(edges[k], edges[k + n_test]) for k in starts]


def score_columns_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `reconstruct_score` as a table with the columns ``COLUMNS``, without pieces' rows."""
    rows = [row for row in rows if "piece" not in row]
    return pd.DataFrame(rows).assign(path=path).reindex(columns=COLUMNS)


def _by_subject(decoded: Mapping[str, Mapping[str, list[np.ndarray]]], column: str) -> list[Levels]:
    """The levels of each subject."""
    n_subjects = len(next(iter(decoded.values()))[column])
    return [{n: columns[column][k] for n, columns in decoded.items()} for k in range(n_subjects)]


def _through_tokens(notes: Notes) -> Notes:
    return detokenize(tokenize(notes)).moved(float(notes.onset[0]))


def _scored_notes(
    held: HeldOutScore, original: Notes, pieces: Mapping[str, Sequence[Notes]], seed: int
) -> Scored:
    """Scores by clip of the notes of every column, and of the brain's at other clips."""
    scored, truth, density = Scored(), held.clips(original), held.density(original)
    for column, several in pieces.items():
        if column == SHUFFLED:
            continue  # to listen to; the null's scores are the brain's
        cut = [held.clips(notes) for notes in several]
        _add(scored, column, [clip_scores(truth, one) for one in cut])
        counts = [held.density(notes) for notes in several]
        _add(scored, column, [{"onset_density_r": held.clip_r(one, density)} for one in counts])
        if column != BRAIN:
            continue
        shifts = null_shifts(len(truth), held.clip_seconds, seed)
        null = [[clip_scores(truth, _rolled(one, k)) for one in cut] for k in shifts]
        for metric in null[0][0]:
            scored.add_null(metric, np.array([[one[metric] for one in each] for each in null]))
        steps = [int(k) * held.clip_trs for k in shifts]
        rolled = [[held.clip_r(np.roll(c, k, axis=0), density) for c in counts] for k in steps]
        scored.add_null("onset_density_r", np.array(rolled))
    return scored


def _add(scored: Scored, column: str, several: Sequence[Mapping[str, np.ndarray]]) -> None:
    for metric in several[0]:
        scored.add(column, metric, np.stack([one[metric] for one in several]))


def _rolled(values: list, k: int) -> list:
    """Shifted by k: the value of moment i - k stands at moment i."""
    return [values[(i - k) % len(values)] for i in range(len(values))]


def _sound_p(
    held: HeldOutScore,
    pieces: Mapping[str, Sequence[Notes]],
    scored: Scored,
    decoding: DecodingConfig,
    seed: int,
) -> dict[tuple[str, str], float]:
    """Adds identification by rendered sound; p-values, of the brain's notes against its null."""

    def features(wave: np.ndarray) -> np.ndarray:
        return sound_clips(wave, held.sample_rate, held.apart, held.clip_trs)

    truth, p = features(held.sound), {}
    for column, several in progress(pieces.items(), "rendering", "columns"):
        if column != SHUFFLED:
            guesses = [features(held.rendered(notes)) for notes in several]
            p |= _identified(held, scored, column, guesses, truth, SOUND, decoding, seed)
    return _against_shifts(scored, seed) | p


def _against_shifts(scored: Scored, seed: int) -> dict[tuple[str, str], float]:
    """p-values of the brain's scores against its null, paired by clip."""
    rows = [row for row in difference_rows(scored, 1, seed) if row["baseline"] == SHUFFLED]
    return {(BRAIN, row["metric"]): row["p"] for row in rows}


def _identified(
    held: HeldOutScore,
    scored: Scored,
    column: str,
    guesses: Sequence[np.ndarray],
    truth: np.ndarray,
    what: str,
    decoding: DecodingConfig,
    seed: int,
) -> dict[tuple[str, str], float]:
    """Adds identification of clips (n_clips, n_features) by ``what``; p-values by permutation."""
    p, shifts = {}, null_shifts(len(truth), held.clip_seconds, seed)
    for metric in SCORE_METRICS.values():
        if metric.applies_to != what or not metric.n_way:
            continue
        tested = add_identification(scored, column, metric, guesses, truth, shifts)
        for name, one in tested.items():
            p[name, metric.name] = identification_shares_p(one, decoding.n_permutations, seed)
    return p


def _level_rows(
    held: HeldOutScore,
    code: ScoreCode,
    name: str,
    shown: np.ndarray,
    views: Mapping[str, Sequence[np.ndarray]],
    decoding: DecodingConfig,
    seed: int,
) -> list[dict]:
    """Correlation and identification by one level's values. No p where a value holds longer than a
    clip: clips that share it are no independent cases.
    """
    scored, p = Scored(), {}
    mean = shown[held.data.where("train")].mean(axis=0)
    truth = shown[held.data.where("test")] - mean
    for column, several in views.items():
        guesses = [values - mean for values in several]
        r = [held.clip_r(guess, truth) for guess in guesses]
        scored.add(column, "latent_r", np.stack(r))
        if column == BRAIN:
            shifts = null_shifts(len(held.rows(truth)), held.clip_seconds, seed)
            steps = [int(k) * held.clip_trs for k in shifts]
            null = [[held.clip_r(np.roll(g, k, axis=0), truth) for g in guesses] for k in steps]
            scored.add_null("latent_r", np.array(null))
        joined = [held.rows(guess) for guess in guesses]
        rows = held.rows(truth)
        p |= _identified(held, scored, column, joined, rows, LATENTS, decoding, seed)
    p = {} if code.seconds[name] > held.clip_seconds else _against_shifts(scored, seed) | p
    return _rows(scored, name, p, held, seed)


def _rows(
    scored: Scored, level: str, p: Mapping[tuple[str, str], float], held: HeldOutScore, seed: int
) -> list[dict]:
    rows = []
    for row in moment_rows(scored.moments, seed):
        key = row["column"], row["metric"]
        facts = {"level": level, "chance": SCORE_METRICS[row["metric"]].chance}
        facts |= {"p": p.get(key, np.nan), "column": _NAMES.get(row["column"], row["column"])}
        rows.append(row | facts)
    return rows
