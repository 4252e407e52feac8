"""Kinds of cheating, planted in copies of results in memory: a check must catch each."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from giblet.audio.sound_fingerprint import Fingerprint
from giblet.autoencoder.trained_on import tr_ranges
from giblet.errors import GibletError
from giblet.evaluation.bank import BankRecord
from giblet.evaluation.checks import CHECKS, COMPARED, Evidence, same_sound, segment_values
from giblet.evaluation.moments import BRAIN, MEAN, SHUFFLED
from giblet.timing import count_samples, samples_duration

AUDITED = ["path", "cheat", "check", "caught", "message"]
NOT_THERE = "not in these results"
_FEWEST_SECONDS = 10.0  # of sound, to plant an excerpt of it


@dataclass(frozen=True)
class Cheat:
    """A kind of cheating.

    name
        As printed.
    check
        Of `CHECKS`, that is to catch it.
    plant
        The evidence with it; None where the results have nothing to plant it in.
    """

    name: str
    check: str
    plant: Callable[[Evidence], Evidence | None]


def audit(evidence: Evidence) -> list[dict]:
    """A row for each of `CHEATS`: ``cheat check caught message``, the message of the check.

    ``evidence`` itself has passed every check (`giblet.evaluation.checks.check_evidence`).
    """
    rows = []
    for cheat in CHEATS:
        row = {"cheat": cheat.name, "check": cheat.check, "caught": "no", "message": ""}
        planted = cheat.plant(evidence)
        if planted is None:
            rows.append(row | {"caught": NOT_THERE})
            continue
        try:
            CHECKS[cheat.check](planted)
        except GibletError as error:
            row |= {"caught": "yes", "message": str(error)}
        rows.append(row)
    return rows


def train_on_test_trs(evidence: Evidence) -> Evidence:
    """The record of a model that was trained on test TRs, too."""
    seen = {"film": evidence.film, "train": tr_ranges(evidence.trs), "validation": []}
    return replace(evidence, record=dict(evidence.record) | seen)


def relabel_test_trs(evidence: Evidence) -> Evidence | None:
    """The first half of the test TRs as training TRs."""
    if evidence.has_stimuli:
        return None  # their parts have no order
    part = evidence.data.part.copy()
    part[evidence.test[: len(evidence.test) // 2]] = "train"
    return evidence.with_part(part, evidence.data.gap_trs)


def pretrain_on_film(evidence: Evidence) -> Evidence:
    """The record of a model whose pretraining sounds had the film among them."""
    sounds = [*evidence.record.get("sounds", ()), evidence.film]
    return replace(evidence, record=dict(evidence.record) | {"sounds": sounds})


def copy_test_sound(evidence: Evidence) -> Evidence | None:
    """Training TRs whose features are those of the test TRs."""
    audio, test, train = evidence.audio.copy(), evidence.test, evidence.data.where("train")
    if len({tr.tobytes() for tr in audio[test]}) < 3 or len(train) < len(test):
        return None
    audio[train[: len(test)]] = audio[test]
    return replace(evidence, audio=audio)


def leave_null_unshuffled(evidence: Evidence) -> Evidence | None:
    """Scores and sound of ``brain_shuffled`` that are those of ``brain``."""
    scores = evidence.scores
    if BRAIN not in evidence.sounds or same_sound(evidence, BRAIN, MEAN):
        return None  # without signal every null sounds alike
    own = scores[scores["column"] == BRAIN].drop_duplicates("metric").set_index("metric")
    value, null = scores["value"].copy(), scores["column"] == SHUFFLED
    value[null] = scores["metric"][null].map(own["value"])
    sounds = dict(evidence.sounds) | {SHUFFLED: evidence.sounds[BRAIN]}
    return replace(evidence, scores=scores.assign(value=value), sounds=sounds)


def remove_gap(evidence: Evidence) -> Evidence | None:
    """TRs of the gaps as training TRs, and a gap of 0."""
    part = evidence.data.part.copy()
    if evidence.has_stimuli or "gap" not in part:
        return None
    part[part == "gap"] = "train"
    return evidence.with_part(part, 0)


def retrieve_from_test_trs(evidence: Evidence) -> Evidence:
    """A bank of the whole film, test TRs too."""
    return replace(evidence, bank=BankRecord.of_film("the film", evidence.trs))


def copy_film_to_bank(evidence: Evidence) -> Evidence | None:
    """A bank of sounds, one of which is a shifted and quieter excerpt of the test part."""
    sound, rate = evidence.sounds["original"], evidence.sample_rate
    if samples_duration(len(sound), rate) < _FEWEST_SECONDS or not np.any(sound):
        return None
    excerpt = Fingerprint.of(0.5 * sound[count_samples(1.3, rate) :], rate)
    return replace(evidence, bank=BankRecord("a folder", sounds={"excerpt.wav": excerpt}))


def score_best_segments(evidence: Evidence) -> Evidence | None:
    """Scores of ``stimulus`` over the better half of the segments, and a count that says so."""
    return _picked(evidence, is_counted=True)


def hide_worst_segments(evidence: Evidence) -> Evidence | None:
    """The same with the count of all segments."""
    return _picked(evidence, is_counted=False)


def _picked(evidence: Evidence, is_counted: bool) -> Evidence | None:
    if "stimulus" not in evidence.sounds:
        return None
    values = np.sort(segment_values(evidence, ["stimulus"])["stimulus"])
    best, scores = values[: len(values) // 2], evidence.scores.copy()
    if not len(best) or values[0] == values[-1]:
        return None
    row = (scores["column"] == "stimulus") & (scores["metric"] == COMPARED)
    scores.loc[row, "value"] = best.mean()
    if is_counted:
        scores.loc[row, "n"] = len(best)
    return replace(evidence, scores=scores)


CHEATS = (
    Cheat("test TRs in training, by the model's record", "training TRs", train_on_test_trs),
    Cheat("test TRs in training, by their part", "training TRs", relabel_test_trs),
    Cheat("the film among the sounds of pretraining", "training sounds", pretrain_on_film),
    Cheat("sound of the test part in training TRs", "training sounds", copy_test_sound),
    Cheat("a null that is not shuffled", "null", leave_null_unshuffled),
    Cheat("a gap of 0 between training and test", "gap", remove_gap),
    Cheat("test TRs in the bank", "bank", retrieve_from_test_trs),
    Cheat("a bank with the film", "bank", copy_film_to_bank),
    Cheat("scores of the better segments", "all moments", score_best_segments),
    Cheat("the same, counted as all", "all moments", hide_worst_segments),
)
