"""Planted cheating is caught, honest results pass, and a mistake is one line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.alignment.dataset import split_film
from giblet.autoencoder.trained_on import film_record, inside, sounds_record
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.evaluation import checks
from giblet.evaluation.audit import CHEATS, NOT_THERE, audit
from giblet.evaluation.checks import CHECKS, Evidence, check_evidence, repeated_trs
from giblet.evaluation.moments import moment_rows
from giblet.evaluation.scores import score_table, sound_scores
from giblet.io.checksums import fingerprint

T_R, N_TRS, RATE = 1.5, 120, 8000


@pytest.fixture(scope="module")
def aligned():
    part = split_film(N_TRS, T_R, SplitConfig(gap_seconds=6), has_bold=True)
    audio = np.random.default_rng(0).integers(16, size=(N_TRS, 2, 8))
    return xr.Dataset(
        {"audio": (("tr", "row", "frame"), audio)},
        coords={"tr": np.arange(N_TRS), "part": ("tr", part), "run": ("tr", ["run-1"] * N_TRS)},
        attrs={"t_r": T_R, "gap_trs": 4, "input": "0123"},
    )


@pytest.fixture(scope="module")
def evidence(aligned):
    """Noise of the test part's length in place of sounds, scored as in the pipeline."""
    rng, n_test = np.random.default_rng(1), int((aligned["part"] == "test").sum())
    n_samples = int(n_test * T_R * RATE)
    original = rng.normal(0, 0.1, n_samples) * np.repeat(rng.uniform(0.1, 1, 9), n_samples // 9)
    levels = np.repeat(np.linspace(0.01, 0.2, 9), n_samples // 9)  # segments are not alike
    sounds = {"original": original, "stimulus": original + levels * rng.normal(0, 1, n_samples)}
    sounds |= {name: rng.normal(0, 0.1, n_samples) for name in ("brain", "brain_shuffled")}
    scored = sound_scores(original, {c: [w] for c, w in sounds.items() if c != "original"}, RATE)
    table = score_table("encodec", moment_rows(scored, seed=0))
    table = table[table["metric"].isin(["stoi", "log_mel_db", "pesq_wb"])]
    identified = {"path": "encodec", "metric": "identification_2way", "n": n_test, "n_failed": 0}
    values = (("brain", 0.8), ("brain_shuffled", 0.49))
    rows = [identified | {"column": column, "value": value} for column, value in values]
    scores = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
    own = scores[(scores["column"] == "brain") & (scores["metric"] == "log_mel_db")]
    subjects = own[["column", "metric", "value"]].assign(subject="sub-01")
    return Evidence.of(aligned, film_record(aligned), scores, subjects, sounds, RATE, 3.0)


def test_honest_results_pass_and_every_cheat_is_caught_by_its_check(evidence):
    check_evidence(evidence)
    rows = audit(evidence)
    assert [row["caught"] for row in rows] == ["yes"] * len(CHEATS)
    assert all(row["message"] and "\n" not in row["message"] for row in rows)


@pytest.mark.parametrize("check", CHECKS)
def test_a_cheat_is_missed_by_a_check_that_does_nothing(evidence, check, monkeypatch):
    monkeypatch.setitem(checks.CHECKS, check, lambda evidence: None)
    missed = {row["check"] for row in audit(evidence) if row["caught"] == "no"}
    assert missed == {check}


def test_what_is_not_in_the_results_is_not_planted(evidence):
    sounds = {name: evidence.sounds[name] for name in ("original", "stimulus")}
    scores = evidence.scores[evidence.scores["column"] == "stimulus"]
    caught = {row["cheat"]: row["caught"] for row in audit(replace(evidence, sounds=sounds))}
    assert caught["a null that is not shuffled"] == NOT_THERE
    check_evidence(replace(evidence, sounds=sounds, scores=scores, subjects=None))


def with_p(evidence, brain, null):
    row = {"path": "encodec", "metric": "identification_10way_p", "n": 1, "n_failed": 0}
    rows = [row | {"column": "brain", "value": brain}]
    rows += [row | {"column": "brain_shuffled", "value": null}]
    scores = pd.concat([evidence.scores, pd.DataFrame(rows)], ignore_index=True)
    return replace(evidence, scores=scores)


def test_a_null_that_identifies_as_the_brain_does_is_refused(evidence):
    """By luck one of the two may have a small p, and not both."""
    for brain, null in ((0.001, 0.99), (0.001, 0.2), (0.3, 0.004), (0.9, 0.9)):
        check_evidence(with_p(evidence, brain, null))
    with pytest.raises(GibletError, match=r"10way_p of brain_shuffled is 0.004 \(brain 0.001"):
        check_evidence(with_p(evidence, 0.001, 0.004))


def test_a_null_with_the_brains_own_scores_is_refused_unless_all_is_at_chance(evidence):
    scores = evidence.scores
    known = scores["metric"] == "identification_2way"
    for value, passes in ((0.8, False), (0.5, True)):
        changed = replace(evidence, scores=scores.assign(value=scores["value"].mask(known, value)))
        if passes:
            check_evidence(changed)
        else:
            with pytest.raises(GibletError, match="every identification by brain_shuffled"):
                check_evidence(changed)


def test_a_brain_that_knows_nothing_may_sound_as_its_null(evidence):
    """Where ridge predicts the mean, brain, null and mean are one sound."""
    same = dict.fromkeys(("brain_shuffled", "brain_mean"), evidence.sounds["brain"])
    check_evidence(replace(evidence, sounds=evidence.sounds | same))


def test_a_part_of_the_sound_alone_is_not_scored(evidence):
    sounds = {name: wave[: len(wave) // 2] for name, wave in evidence.sounds.items()}
    with pytest.raises(GibletError, match=r"has 18\.00 s, the test part 36\.00 s"):
        check_evidence(replace(evidence, sounds=sounds))


def test_the_first_subjects_brain_is_compared_with_its_own_score(evidence):
    wrong = evidence.subjects.assign(value=evidence.subjects["value"] - 0.5)
    with pytest.raises(GibletError, match="log_mel_db of brain is"):
        check_evidence(replace(evidence, subjects=wrong))


def test_scores_of_clipped_sounds_and_quiet_films_are_not_compared(evidence):
    """16-bit files change them."""
    wrong = replace(evidence, subjects=evidence.subjects.assign(value=99.0))
    clipped = evidence.sounds["brain"].copy()
    clipped[0] = 1.0
    with pytest.raises(GibletError, match="log_mel_db of brain is"):  # one sample hides nothing
        check_evidence(replace(wrong, sounds=evidence.sounds | {"brain": clipped}))
    clipped[:: len(clipped) // 200] = 1.0
    check_evidence(replace(wrong, sounds=evidence.sounds | {"brain": clipped}))
    quiet = {name: 0.05 * wave for name, wave in evidence.sounds.items()}
    check_evidence(replace(wrong, sounds=quiet))


def test_two_repeated_trs_pass_and_a_tenth_does_not(evidence):
    train, test = evidence.data.where("train"), evidence.test
    for n, passes in ((2, True), (4, False)):
        audio = evidence.audio.copy()
        audio[train[:n]] = audio[test[:n]]
        assert repeated_trs(audio[test], audio[train]).sum() == n
        if passes:
            check_evidence(replace(evidence, audio=audio))
        else:
            with pytest.raises(GibletError, match="sound of 4 of 24 test TRs"):
                check_evidence(replace(evidence, audio=audio))


def test_a_model_of_another_film_or_without_a_record_passes(evidence):
    other = film_record(xr.Dataset(coords={"tr": np.arange(9), "part": ("tr", ["train"] * 9)}))
    for record in ({}, other | {"film": "another"}):
        check_evidence(replace(evidence, record=record))


def test_the_record_of_sounds_has_every_file(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.wav", "deep/b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    files = [tmp_path / "a.wav", tmp_path / "deep/b.wav"]
    assert sounds_record([tmp_path]) == {"sounds": sorted(map(fingerprint, files))}


def test_trs_are_looked_up_in_ranges_in_any_order(rng):
    """Oracle: every TR in every range."""
    first = rng.integers(0, 100, 20)
    ranges = np.stack([first, first + rng.integers(0, 5, 20)], axis=1).tolist()
    trs = np.arange(-2, 110)
    expected = [any(a <= tr <= b for a, b in ranges) for tr in trs]
    assert inside(trs, ranges).tolist() == expected
    assert not inside(trs, []).any()
