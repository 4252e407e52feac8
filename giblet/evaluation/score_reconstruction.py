"""The score of held-out music through tokens, latents and brain, with nulls and all scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.identify import (
    identification_shares_p,
    join_clips,
)
from giblet.config.sections import DecodingConfig
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import (
    Regions,
    add_identification,
    decode_brains,
    held_out_stretches,
    sound_clips,
)
from giblet.evaluation.held_out import correlation_by_tr
from giblet.evaluation.moments import (
    BRAIN,
    SHUFFLED,
    Scored,
    difference_rows,
    moment_rows,
)
from giblet.evaluation.nulls import null_shifts
from giblet.evaluation.score_codes import N_DRAWS, Levels, ScoreCode
from giblet.log import progress
from giblet.music.note_metrics import LATENTS, SCORE_METRICS, SOUND, clip_scores
from giblet.music.notes import Notes
from giblet.music.passages import clips, laid_out, passages
from giblet.music.synth import synthesize
from giblet.music.tokens import VOCABULARY, detokenize, tokenize
from giblet.timing import tr_onsets, trs_for, volumes_to_trs

FEWEST_CLIPS = 10  # of which one is chosen
COLUMNS = ["path", "column", "level", "metric", "value", "low", "high", "n", "n_failed"]
COLUMNS += ["chance", "p"]
_EDGE = VOCABULARY.step_seconds
_NAMES = {BRAIN: "score_brain", SHUFFLED: "score_brain_shuffled"}


@dataclass(frozen=True)
class HeldOutScore:
    """Held-out music: what was heard, and where its TRs and clips are.

    piece : notes on the film's clock
    sound : (n_samples,) of the film in the held-out TRs, at ``sample_rate``
    trs : (n_trs,) number of each TR of ``data`` in the film
    """

    piece: Notes
    sound: np.ndarray
    sample_rate: int
    data: FilmData
    trs: np.ndarray
    t_r: float
    clip_seconds: float

    @property
    def clip_trs(self) -> int:
        """TRs of a clip."""
        return trs_for(self.clip_seconds, self.t_r)

    @property
    def stretches(self) -> list[np.ndarray]:
        """Held-out TRs that follow one another, as indices among the held-out ones."""
        return held_out_stretches(self.data)

    def passage(self, part: str) -> Notes:
        """The notes of a part's TRs, one after the other."""
        where = self.data.where(part)
        stretches = [np.searchsorted(where, one) for one in self.data.stretches(part)]
        parts = passages(self.piece, self.trs[where], stretches, self.t_r)
        return laid_out(parts, stretches, self.t_r)

    def clips(self, notes: Notes) -> list[Notes]:
        """The notes of each held-out clip; edges are a step early, as tokens round onsets."""
        return clips(notes.moved(_EDGE), self.stretches, self.clip_trs, self.t_r)

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Values (n_test, n_features) by clip, (n_clips, n_features of all its TRs)."""
        return join_clips(values, self.stretches, self.clip_trs)

    def rendered(self, notes: Notes) -> np.ndarray:
        """The notes as sound (n_samples,), as long as the film's."""
        wave = synthesize(notes, self.sample_rate)[: len(self.sound)]
        return np.pad(wave, (0, len(self.sound) - len(wave)))

    def density(self, notes: Notes) -> np.ndarray:
        """Onsets in each held-out TR, (n_test, 1), edges as in `clips`."""
        n_test = len(self.data.where("test"))
        trs = volumes_to_trs(notes.onset + _EDGE, self.t_r)
        return np.bincount(trs[trs < n_test], minlength=n_test)[:, None].astype(float)

    def check(self) -> None:
        """Raises GibletError where the held-out part has no notes, or fewer than ten clips."""
        n_clips = len(self.clips(Notes.joined([])))
        if n_clips < FEWEST_CLIPS:
            raise GibletError(
                f"the test part has {n_clips} clips of {self.clip_seconds:g} s, and a score is "
                f"identified among {FEWEST_CLIPS}: raise splits.test, or lower "
                "decoding.clip_seconds"
            )
        if not len(self.passage("test")):
            raise GibletError(
                "the score has no notes in the test part: look at score_offset and splits"
            )


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
    ``score_prior`` (a code that knows nothing) and ``score_other`` (other passages).

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
    for name, truth in code.shown.items():
        views = {"score_latent": [code.views(own)[name]]}
        if brains:
            views[BRAIN] = [code.views(one)[name] for one in brains]
        rows += _level_rows(held, code, name, truth, views, decoding, seed)
    heard = {"original": original} | {_NAMES.get(c, c): notes[0] for c, notes in pieces.items()}
    return heard, rows


def other_passages(held: HeldOutScore) -> list[Notes]:
    """Passages of the training part, each as long as the test part: a null with the same style."""
    training, n_train = held.passage("train"), len(held.data.where("train"))
    n_test = len(held.data.where("test"))
    n_times = -(-2 * n_test // n_train) + 1
    edges = tr_onsets(n_times * n_train + n_test + 1, held.t_r)
    again = Notes.joined([training.moved(edges[k * n_train]) for k in range(n_times)])
    starts = np.unique(np.arange(N_DRAWS) * n_train // N_DRAWS)
    return [again.between(edges[k], edges[k + n_test]) for k in starts]


def score_columns_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `reconstruct_score` as a table with the columns ``COLUMNS``."""
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
        _add(scored, column, [{"onset_density_r": _clip_r(held, one, density)} for one in counts])
        if column != BRAIN:
            continue
        shifts = null_shifts(len(truth), held.clip_seconds, seed)
        null = [[clip_scores(truth, _rolled(one, k)) for one in cut] for k in shifts]
        for metric in null[0][0]:
            scored.add_null(metric, np.array([[one[metric] for one in each] for each in null]))
        steps = [int(k) * held.clip_trs for k in shifts]
        rolled = [[_clip_r(held, np.roll(c, k, axis=0), density) for c in counts] for k in steps]
        scored.add_null("onset_density_r", np.array(rolled))
    return scored


def _add(scored: Scored, column: str, several: Sequence[Mapping[str, np.ndarray]]) -> None:
    for metric in several[0]:
        scored.add(column, metric, np.stack([one[metric] for one in several]))


def _rolled(values: list, k: int) -> list:
    """Shifted by k: the value of moment i - k stands at moment i."""
    return [values[(i - k) % len(values)] for i in range(len(values))]


def _clip_r(held: HeldOutScore, guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The contribution of each clip to the correlation of two series (n_test, n_features)."""
    trs = held.rows(np.arange(len(truth))[:, None])  # (n_clips, clip_trs)
    by_tr = correlation_by_tr(guess[trs.ravel()], truth[trs.ravel()])
    return by_tr.reshape(trs.shape).mean(axis=1)


def _sound_p(
    held: HeldOutScore,
    pieces: Mapping[str, Sequence[Notes]],
    scored: Scored,
    decoding: DecodingConfig,
    seed: int,
) -> dict[tuple[str, str], float]:
    """Adds identification by rendered sound; p-values, of the brain's notes against its null."""

    def features(wave: np.ndarray) -> np.ndarray:
        return sound_clips(wave, held.sample_rate, held.data, held.clip_trs)

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
        r = [_clip_r(held, guess, truth) for guess in guesses]
        scored.add(column, "latent_r", np.stack(r))
        if column == BRAIN:
            shifts = null_shifts(len(held.rows(truth)), held.clip_seconds, seed)
            steps = [int(k) * held.clip_trs for k in shifts]
            null = [[_clip_r(held, np.roll(g, k, axis=0), truth) for g in guesses] for k in steps]
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
