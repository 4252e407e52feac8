"""The score from simulated BOLD: found where BOLD follows it, at chance in every null.

The code of a TR is a random vector; the way back gives the notes of the TR with the nearest one.
"""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from giblet.alignment.dataset import FilmData, split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.config.sections import DecodingConfig, SplitConfig
from giblet.errors import GibletError
from giblet.evaluation import score_reconstruction
from giblet.evaluation.held_out_score import HeldOutScore
from giblet.evaluation.score_reconstruction import (
    COLUMNS,
    other_passages,
    reconstruct_score,
    score_columns_table,
)
from giblet.music.notes import Notes
from giblet.music.synth import synthesize

T_R, N_TRS, RATE, CLIP = 1.5, 300, 4000, 3.0
DECODING = DecodingConfig(clip_seconds=CLIP, n_permutations=199, voxel_share=1.0)
NULLS = ["score_brain_shuffled", "score_prior", "score_other"]


def piece_of(seed, n_trs=N_TRS):
    """Four notes a TR on a grid, in a key of its own every 8 TRs."""
    rng = np.random.default_rng(seed)
    onset = (np.arange(4 * n_trs) * T_R / 4)[rng.random(4 * n_trs) < 0.7]
    tonic = rng.integers(0, 12, n_trs // 8 + 1)[(onset / T_R / 8).astype(int)]
    pitch = 48 + (tonic + rng.choice([0, 2, 4, 5, 7, 9, 11], len(onset))) % 24
    return Notes.from_unsorted(onset, np.full(len(onset), 0.3), pitch, np.full(len(onset), 80))


class Codebook:
    """A random vector for each TR, slow on the level ``slow``."""

    is_read_out = True

    def __init__(self, held, rng):
        self.held, n_slow = held, N_TRS // 10
        self.code = {
            "quick": lfilter([1, 1, 1, 1], 1, rng.standard_normal((N_TRS, 4)), axis=0) / 2,
            "slow": np.repeat(rng.standard_normal((n_slow, 6)), 10, axis=0),
        }
        self.shown, self.seconds = self.code, {"quick": T_R, "slow": 10 * T_R}

    def views(self, levels):
        return levels

    def drawn(self, levels):
        return [levels]

    def unknown(self, seed):
        rng, n = np.random.default_rng(seed), len(self.held.data.where("test"))
        return [{k: rng.standard_normal((n, v.shape[1])) for k, v in self.code.items()}] * 2

    def notes(self, several, seed):
        return [self._nearest(levels["quick"]) for levels in several]

    def _nearest(self, code):
        book, parts = self.code["quick"], []
        for k, one in enumerate(code):
            tr = ((book - one) ** 2).sum(axis=1).argmin()
            parts.append(self.held.piece.between(tr * T_R, (tr + 1) * T_R).moved(k * T_R))
        return Notes.joined(parts)


def held_out(bold=None, piece=None, clip_seconds=CLIP):
    part = split_film(N_TRS, T_R, SplitConfig(test=0.25, gap_seconds=9), has_bold=True)
    runs = np.repeat("run-1", N_TRS)
    if bold is not None:
        bold = torch.from_numpy(zscore_bold(bold, runs, part == "train")[0])
    data = FilmData({}, bold, part, runs, ("sub-01", "sub-02"))
    piece = piece or piece_of(0)
    first = int(data.where("test")[0])
    heard = piece.between(first * T_R, N_TRS * T_R)
    sound = synthesize(heard, RATE)
    n_samples = round((N_TRS - first) * T_R * RATE)
    sound = np.pad(sound, (0, max(0, n_samples - len(sound))))[:n_samples]
    return HeldOutScore(piece, sound, RATE, data, np.arange(N_TRS), T_R, clip_seconds)


@pytest.fixture(scope="module")
def made():
    """BOLD of two simulated people that follows the quick level alone."""
    rng = np.random.default_rng(0)
    code = Codebook(held_out(), rng)
    drive = code.code["quick"] @ rng.standard_normal((4, 30))
    answer = lfilter(tr_kernel(T_R, 0.75), 1, drive, axis=0)
    held = held_out(answer / answer.std() + 0.1 * rng.standard_normal((2, N_TRS, 30)))
    code.held = held
    notes, rows = reconstruct_score(held, code, DECODING, seed=0)
    return held, notes, score_columns_table("mel", rows)


def values(table, metric, level="", of="value"):
    chosen = table[(table["metric"] == metric) & (table["level"] == level)]
    return chosen.set_index("column")[of]


def test_the_brain_gives_notes_that_no_null_gives(made):
    _, _, table = made
    for metric in ("note_f1", "pitch_class_r", "onset_density_r", "key_agreement"):
        value, p = values(table, metric), values(table, metric, of="p")
        assert value["score"] == pytest.approx(1, abs=0.02), metric  # tokens lose little
        assert value["score_latent"] == pytest.approx(1, abs=0.02)
        assert value.max() < 1.01
        assert value["score_brain"] > value[NULLS].max() + 0.15, metric
        assert p["score_brain"] < 0.05
        assert p.drop("score_brain").isna().all()


def test_clips_are_identified_by_sound_and_by_the_level_that_bold_follows(made):
    _, _, table = made
    for n_way in (2, 10):
        sound = values(table, f"sound_identification_{n_way}way")
        quick = values(table, f"latent_identification_{n_way}way", "quick")
        slow = values(table, f"latent_identification_{n_way}way", "slow")
        assert sound["score"] > 0.95
        assert quick["score_latent"] == 1
        for brain in (sound["score_brain"], quick["score_brain"]):
            assert brain > 1 / n_way + 0.2
        for null in [*sound[NULLS], quick["score_brain_shuffled"]]:
            assert abs(null - 1 / n_way) < 0.15
        assert abs(slow["score_brain"] - 1 / n_way) < 0.25
        assert 1 / n_way < slow["score_latent"] < 1  # clips of a segment are alike: ties
        p = values(table, f"latent_identification_{n_way}way", "quick", "p")
        assert p["score_brain"] == 1 / 200
        assert p["score_brain_shuffled"] > 0.05
        assert values(table, f"latent_identification_{n_way}way", "slow", "p").isna().all()
    r = values(table, "latent_r", "quick")
    assert r["score_brain"] > 0.5 > r["score_brain_shuffled"] + 0.35
    assert abs(values(table, "latent_r", "slow")["score_brain"]) < 0.35


def test_the_table_counts_clips_and_has_chance(made):
    held, _, table = made
    assert list(table) == COLUMNS
    assert not table.duplicated(["column", "level", "metric"]).any()
    n_clips = len(held.data.where("test")) // 2
    assert (table["n"] + table["n_failed"] == n_clips).all()
    assert set(values(table, "sound_identification_10way", of="chance")) == {0.1}
    assert {"score", "score_latent", "score_brain", *NULLS} == {*values(table, "note_f1").index}


def test_columns_are_notes_of_the_held_out_trs(made):
    held, notes, _ = made
    names = ["original", "score", "score_other", "score_latent", "score_prior", "score_brain"]
    assert list(notes) == [*names, "score_brain_shuffled"]
    end = len(held.data.where("test")) * T_R
    for one in notes.values():
        assert 0.9 * end < one.end <= end + 1
        assert len(held.rendered(one)) == len(held.sound)
    first = held.data.where("test")[0] * T_R
    heard = held.piece.onset[held.piece.onset >= first] - first
    np.testing.assert_allclose(notes["original"].onset, heard, atol=1e-9)


def test_without_a_scan_there_is_no_brain_column(monkeypatch):
    monkeypatch.setattr(score_reconstruction, "_sound_p", lambda *_: {})  # takes long
    held = held_out()
    code = Codebook(held, np.random.default_rng(0))
    notes, rows = reconstruct_score(held, code, DECODING, seed=0)
    columns = {row["column"] for row in rows}
    assert columns == {"score", "score_latent", "score_prior", "score_other"}
    assert not any("brain" in name for name in notes)


def test_other_passages_are_of_the_training_part():
    held = held_out()
    training, n_test = held.passage("train"), len(held.data.where("test"))
    passages = other_passages(held)
    assert len(passages) == 4
    assert passages[0].pitch.tolist() == training.between(0, n_test * T_R).pitch.tolist()
    for one in passages:
        assert 0.9 * n_test * T_R < one.end <= n_test * T_R + 1e-9
    assert not np.array_equal(passages[0].pitch, passages[1].pitch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"piece": piece_of(0, n_trs=150)}, "the score has no notes in the test part: look at"),
        ({"clip_seconds": 13.5}, "the test part has 8 clips of 13.5 s, .* among 10: raise"),
    ],
)
def test_what_cannot_be_scored_is_one_line(change, message):
    held = held_out(**change)
    with pytest.raises(GibletError, match=message) as error:
        reconstruct_score(held, Codebook(held, np.random.default_rng(0)), DECODING, seed=0)
    assert "\n" not in str(error.value)
