"""Virtual lesions: the change of the decoded sound when a region of the brain is zeroed."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import reliable_voxels
from giblet.audio.metrics.scores import summarise
from giblet.audio.metrics.table import TRS, metric_of
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.config.regions import LesionConfig
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import decoded_stretch, film_stretch
from giblet.evaluation.decoding import decode_silenced, lags_in_trs
from giblet.evaluation.group_decoding import (
    decode_from_others_silenced,
    decode_group_silenced,
)
from giblet.evaluation.held_out import HeldOut, Scores
from giblet.evaluation.moments import N_BOOTSTRAP, nan_mean, paired_stretches
from giblet.evaluation.score_lesions import Decoded, ScoreLesions
from giblet.log import progress
from giblet.stats.ridge import Folds
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

_Fixed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, range]  # of `decode_silenced`
_BOTTLENECK = "bottleneck"  # a level of the score's readout, too


@dataclass(frozen=True)
class Lesion:
    """Voxels that are silenced, (n_voxels,) bool: a region's, all others, or as many at random."""

    region: str
    mode: str  # silenced, alone, random; intact for none
    silent: np.ndarray
    n_voxels: int  # of the region; of a random lesion, how many it silences


def plan_lesions(regions: Mapping[str, np.ndarray], n_draws: int, seed: int) -> list[Lesion]:
    """A plan: none silenced; then each region, all but it, and ``n_draws`` random sets of voxels.

    ``regions``: (n_voxels,) bool each. Random sets have as many voxels, of no region or, where
    those are too few, outside this one; there is none where the region is the whole brain.
    """
    in_none = ~np.any(list(regions.values()), axis=0)
    plan = [Lesion("", "intact", np.zeros_like(in_none), 0)]
    for place, (name, inside) in enumerate(regions.items()):
        n, rng = int(inside.sum()), np.random.default_rng([seed, place])
        plan += [Lesion(name, "silenced", inside, n), Lesion(name, "alone", ~inside, n)]
        others = np.flatnonzero(in_none if in_none.sum() >= n else ~inside)
        for _ in range(n_draws if len(others) else 0):
            drawn = rng.choice(others, min(n, len(others)), replace=False)
            silent = np.isin(np.arange(len(inside)), drawn)
            plan.append(Lesion(name, "random", silent, len(drawn)))
    return plan


def paired_change(lesioned: np.ndarray, intact: np.ndarray, n_together: int, seed: int) -> dict:
    """``value``, ``intact``, ``change`` and its 95 % bootstrap interval ``low``, ``high``.

    Scores (n_subjects, n_moments); means are over those that both have. Subjects saw the same
    moments: the interval draws moments, in stretches of ``n_together``, and not subjects.
    """
    lesioned, intact, changes = paired_stretches(lesioned, intact, n_together)
    drawn = summarise("change", changes, seed, N_BOOTSTRAP)
    value, before = nan_mean(lesioned), nan_mean(intact)
    ends = {"low": drawn["low"], "high": drawn["high"]}
    return {"value": value, "intact": before, "change": value - before} | ends


def lesion(
    aligned: xr.Dataset,
    data: FilmData,
    autoencoder: Autoencoder,
    processor: AudioProcessor,
    film_sound: np.ndarray,
    regions: Mapping[str, np.ndarray],
    decoding: DecodingConfig,
    config: LesionConfig,
    seed: int,
    score: ScoreLesions | None = None,
    scan: ScanConfig | None = None,
) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Sounds by ``<region>_<mode>``, and rows of the table of changes, with ``decoder``.

    Sounds are those of the first subject, or of the group (``config.decoder``).

    ``regions``: (n_voxels,) bool each; ``film_sound`` (n_samples,) is the whole film's, at
    ``processor.sample_rate``. Scores pool all subjects; those of random lesions are the mean of
    their draws, and their sound is that of the first. With ``score`` there are rows of its notes
    and of its levels, which are named by ``level``.

    Raises
    ------
    GibletError
        There is no scan; no region holds a voxel that is read; one subject alone, and a decoder
        of several.
    """
    if data.bold is None:
        raise GibletError("lesion needs a scan: there is no BOLD beside this film")
    code, trs = bottlenecks(autoencoder, data), aligned["tr"].values[data.where("test")]
    codes = {_BOTTLENECK: code} | dict(score.code.code if score else {})
    together = np.concatenate([*codes.values()], axis=1)
    options = (regions, processor.clock.t_r, decoding, config, seed, scan)
    plan, decoded = decode_lesions(together, data, *options)
    levels = [[_split(guess, codes) for guess in guesses] for guesses in decoded]
    original = film_stretch(film_sound, trs, processor)
    clip_trs = trs_for(decoding.clip_seconds, processor.clock.t_r)
    held_out = HeldOut(code, data, original, processor.sample_rate, clip_trs)
    sounds, scored = {"original": original} if config.sound else {}, []
    for one, by_subject in zip(progress(plan, "decoding", "lesions"), levels, strict=True):
        guesses = [each[_BOTTLENECK] for each in by_subject]
        features = [_decode_audio(autoencoder, guess) for guess in guesses]
        waves = [
            decoded_stretch(each.numpy(), trs, processor, aligned.attrs)
            for each in (features if config.sound else [])
        ]
        scored.append(
            (one, _scores(held_out, guesses, features if processor.use_encodec else [], waves))
        )
        if waves:
            sounds.setdefault("_".join(filter(None, (one.region, one.mode))), waves[0])
    rows = list(change_rows(scored, clip_trs, seed))
    rows += score_change_rows(plan, levels, score, seed) if score else []
    return sounds, [{"decoder": config.decoder} | row for row in rows]


def _split(guess: np.ndarray, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Several codes side by side (n_test, sum of widths) by name."""
    edges = np.cumsum([code.shape[1] for code in codes.values()])[:-1]
    return dict(zip(codes, np.split(guess, edges, axis=1), strict=True))


def decode_lesions(
    code: np.ndarray,
    data: FilmData,
    regions: Mapping[str, np.ndarray],
    t_r: float,
    decoding: DecodingConfig,
    config: LesionConfig,
    seed: int,
    scan: ScanConfig | None = None,
) -> tuple[list[Lesion], list[tuple[np.ndarray, ...]]]:
    """The lesions, and the bottlenecks (n_test, bottleneck_dim) after each, one per subject.

    By the decoder of all subjects together there is one, of the group. Bottlenecks are decoded from
    the voxels with the highest ISC (``decoding.voxel_share``).
    Regions without such voxels are left out, with a warning; GibletError if none has any,
    without BOLD, and where ``config.decoder`` needs a second subject. ``scan`` has the common space
    of subjects.
    """
    if data.bold is None:
        raise GibletError("lesion: there is no BOLD in which regions could be zeroed")
    train, test, bold = data.where("train"), data.where("test"), data.bold.numpy()
    read = reliable_voxels(bold[:, train], decoding.voxel_share)
    inside = {name: voxels[read] for name, voxels in regions.items()}
    unread = [name for name, voxels in inside.items() if not voxels.any()]
    names = ", ".join(unread)
    if len(unread) == len(inside):
        raise GibletError(
            f"lesion: none of the {len(read)} voxels that are decoded from is in {names}; a larger "
            "decoding.voxel_share uses more voxels"
        )
    if unread:
        logger.warning(
            "%s: none of the %d voxels that are decoded from is there: left out", names, len(read)
        )
    plan = plan_lesions({n: v for n, v in inside.items() if v.any()}, config.n_draws, seed)
    silent, lags = [one.silent for one in plan], lags_in_trs(t_r, decoding)
    fixed, options = (data.run, code, train, test, lags), (config.decoder, scan or ScanConfig())
    by_subject = _decode(
        bold[..., read], fixed, silent, *options, partial(data.penalty_folds, train)
    )
    return plan, list(zip(*by_subject, strict=True))


def _decode(
    bold: np.ndarray,
    fixed: _Fixed,
    silent: Sequence,
    decoder: str,
    scan: ScanConfig,
    folds: Callable[..., Folds | None],
) -> list[list[np.ndarray]]:
    """The bottlenecks of each subject, or of the group, after every lesion.

    ``folds``: of a subject's index, or of nothing for all of them, as of `FilmData.penalty_folds`.
    """
    if decoder != "subjects" and len(bold) < 2:
        raise GibletError(
            f"lesion.decoder: {decoder} needs two subjects or more, and there is one: take subjects"
        )
    if decoder == "group":
        return [decode_group_silenced(bold, *fixed, scan=scan, silenced=silent, folds=folds())]
    by_subject = []
    for n, own in enumerate(progress(bold, "decoding BOLD", "subjects")):
        if decoder == "others":
            others = np.delete(bold, n, axis=0)
            decoded = decode_from_others_silenced(others, own, *fixed, scan, silent, folds())
            by_subject.append(decoded)
        else:
            by_subject.append(decode_silenced(own, *fixed, silenced=silent, folds=folds(n)))
    return by_subject


@torch.inference_mode()
def _decode_audio(autoencoder: Autoencoder, bottleneck: np.ndarray) -> torch.Tensor:
    return autoencoder.decode_audio(torch.from_numpy(bottleneck).float())


def _scores(held_out: HeldOut, guesses: Sequence, codes: Sequence, waves: Sequence) -> Scores:
    """Metric → scores (n_subjects, n_moments) of each subject's decoded bottleneck and sound."""
    each = [
        [held_out.bottleneck_scores(guess) for guess in guesses],
        [held_out.code_scores(one) for one in codes],
        [held_out.sound_scores(wave) for wave in waves],
    ]
    return {m: np.stack([s[m] for s in kind]) for kind in each if kind for m in kind[0]}


def change_rows(
    scored: Sequence[tuple[Lesion, Scores]], clip_trs: int, seed: int, n_alike: int = 1
) -> Iterator[dict]:
    """Rows ``region mode metric value intact change low high lowest highest n_voxels``.

    ``lowest`` and ``highest`` are the changes of single subjects, means over their moments.
    ``scored``: the intact brain first, with scores (n_subjects, n_moments) by metric. Intervals
    draw TRs in stretches of ``clip_trs``, other moments in stretches of ``n_alike``.
    """
    (_, intact), *lesioned = scored
    for (region, mode), same in groupby(lesioned, lambda pair: (pair[0].region, pair[0].mode)):
        lesions, scores = zip(*same, strict=True)
        for metric, before in intact.items():
            after = np.mean([draw[metric] for draw in scores], axis=0)
            n_together = clip_trs if metric_of(metric).moment == TRS else n_alike
            row = {"region": region, "mode": mode, "metric": metric}
            row |= paired_change(after, before, n_together, seed)
            row |= _of_subjects(after - before)
            yield row | {"n_voxels": lesions[0].n_voxels}


def _of_subjects(changes: np.ndarray) -> dict:
    """The ``lowest`` and ``highest`` mean of a subject's changes (n_subjects, n_moments).

    >>> _of_subjects(np.array([[0.0, np.nan], [-1.0, -3.0]]))
    {'lowest': -2.0, 'highest': 0.0}
    """
    means = [nan_mean(own) for own in changes]
    known = [mean for mean in means if np.isfinite(mean)] or [np.nan]
    return {"lowest": min(known), "highest": max(known)}


def score_change_rows(
    plan: Sequence[Lesion], decoded: Sequence[Sequence[Decoded]], score: ScoreLesions, seed: int
) -> list[dict]:
    """Rows of `change_rows` of the score's notes, then of each level, which is their ``level``.

    ``decoded``: after each lesion of ``plan`` the levels (n_test, width) of each subject.
    """
    notes = [(one, score.notes(each, seed)) for one, each in zip(plan, decoded, strict=True)]
    rows = list(change_rows(notes, 1, seed))
    for name in score.code.code:
        scored = [(one, score.level(name, each)) for one, each in zip(plan, decoded, strict=True)]
        changes = change_rows(scored, 1, seed, score.n_together(name))
        rows += [row | {"level": name} for row in changes]
    return rows
