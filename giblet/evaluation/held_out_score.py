"""Held-out music: its notes and sound by TR and by clip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.identify import clip_length, join_clips
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import held_out_stretches
from giblet.evaluation.held_out import correlation_by_tr
from giblet.music.notes import Notes
from giblet.music.passages import clips, laid_out, passages
from giblet.music.pieces import Pieces
from giblet.music.synth import synthesize
from giblet.music.tokens import VOCABULARY
from giblet.timing import trs_for, volumes_to_trs

FEWEST_CLIPS = 10  # of which one is chosen
_EDGE = VOCABULARY.step_seconds


@dataclass(frozen=True)
class HeldOutScore:
    """Held-out music: what was heard, and where its TRs and clips are.

    piece : notes on the film's clock
    sound : (n_samples,) of the film in the held-out TRs, at ``sample_rate``
    trs : (n_trs,) number of each TR of ``data`` in the film
    pieces : where there are several; no clip reaches from one into another
    """

    piece: Notes
    sound: np.ndarray
    sample_rate: int
    data: FilmData
    trs: np.ndarray
    t_r: float
    clip_seconds: float
    pieces: Pieces | None = None

    @property
    def clip_trs(self) -> int:
        """TRs of a clip."""
        return trs_for(self.clip_seconds, self.t_r)

    @cached_property
    def apart(self) -> FilmData:
        """``data`` in which a run ends where one piece ends and the next begins.

        For stretches and clips. Decoding takes ``data``: BOLD goes on when a piece ends.
        """
        if self.pieces is None:
            return self.data
        number = self.pieces.of_trs(self.trs, self.t_r).astype(str)
        return replace(self.data, run=np.char.add(np.char.add(self.data.run, " piece "), number))

    @property
    def stretches(self) -> list[np.ndarray]:
        """Held-out TRs of one piece that follow one another, as indices among the held-out ones."""
        return held_out_stretches(self.apart)

    def passage(self, part: str) -> Notes:
        """The notes of a part's TRs, one after the other."""
        return self.passage_of(self.apart.stretches(part))

    def passage_of(self, stretches: Sequence[np.ndarray]) -> Notes:
        """The notes of stretches of TRs, as indices into ``trs``, one after the other."""
        where = np.concatenate(stretches)
        places = [np.searchsorted(where, one) for one in stretches]
        parts = passages(self.piece, self.trs[where], places, self.t_r)
        return laid_out(parts, places, self.t_r)

    def other_stretches(self) -> list[np.ndarray]:
        """Training TRs of pieces of which nothing is held out; where there are none, all.

        Nor of another recording, or another score with the same notes (`Pieces.music`). Without
        those in which no note begins: of stimuli without a score, or of silence.
        """
        training = [one for one in self.apart.stretches("train") if len(self.passage_of([one]))]
        if not training:
            raise GibletError("no note of the score begins in training TRs: check score_offset")
        if self.pieces is None:
            return training
        of_trs, test = self.pieces.of_trs(self.trs, self.t_r), self.data.where("test")
        names = [np.array([*self.pieces.scores, ""])[of_trs]]
        if self.pieces.music is not None:
            names.append(np.append(self.pieces.music, -1)[of_trs])
        is_held = np.any([np.isin(own, own[test]) for own in names], axis=0)
        return [one for one in training if not is_held[one[0]]] or training

    def clips(self, notes: Notes) -> list[Notes]:
        """The notes of each held-out clip; edges are a step early, as tokens round onsets."""
        return clips(notes.moved(_EDGE), self.stretches, self.clip_trs, self.t_r)

    @property
    def clip_pieces(self) -> list[str]:
        """The name of each clip's piece; empty names where there are not several."""
        firsts = self.rows(self.data.where("test")[:, None])[:, 0]
        if self.pieces is None:
            return [""] * len(firsts)
        names = (*self.pieces.names, "")  # -1: before the first
        return [names[k] for k in self.pieces.of_trs(self.trs, self.t_r)[firsts]]

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

    def clip_r(self, guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The contribution of each clip to the correlation of two series (n_test, n_features)."""
        trs = self.rows(np.arange(len(truth))[:, None])  # (n_clips, clip_trs)
        by_tr = correlation_by_tr(guess[trs.ravel()], truth[trs.ravel()])
        return by_tr.reshape(trs.shape).mean(axis=1)

    def check(self) -> None:
        """Raises GibletError where the held-out part has no notes, or fewer than ten clips."""
        n_clips = len(self.clips(Notes.joined([])))
        if n_clips < FEWEST_CLIPS:
            length = clip_length(self.clip_seconds, self.t_r)
            raise GibletError(
                f"the test part has {n_clips} clips of {length:g} s, and a score is "
                f"identified among {FEWEST_CLIPS}: raise splits.test, or lower "
                "decoding.clip_seconds"
            )
        if not len(self.passage("test")):
            raise GibletError(
                "the score has no notes in the test part: look at score_offset and splits"
            )
