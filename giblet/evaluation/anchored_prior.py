"""The anchored prior: a clip retrieved by the decoded slow part, refined by a small model.

Its curve: faithfulness (identification by sound) against novelty (how unlike any clip of the bank),
from strength 0 (the retrieved clip) to 1 (free), for brains, their null and the true slow part.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions
from giblet.audio.metrics.identify import (
    identification_shares,
    identification_shares_p,
    join_clips,
    sound_features,
)
from giblet.audio.metrics.scores import summarise
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.autoencoder.refiner import Refiner, refine, train_refiner
from giblet.config.config import Config
from giblet.config.prior import PriorConfig
from giblet.config.sections import DecodingConfig
from giblet.errors import GibletError
from giblet.evaluation.bank import Bank, novelty, retrieve, windows
from giblet.evaluation.brain_scores import decoded_stretch, film_stretch, held_out_stretches
from giblet.evaluation.moments import N_BOOTSTRAP, NULLS
from giblet.evaluation.nulls import null_shifts, shifted_shares
from giblet.evaluation.slow_decoding import Conditions, audio_slow, slow_conditions
from giblet.log import progress
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

TRUE, ORIGINAL = "true_slow_part", "original"
N_WAY = 10
CURVE = ["path", "bank", "column", "strength", "metric", "value", "low", "high", "p", "n"]
SLOW, SOUND, NOVELTY = "identification_10way", "identification_sound_10way", "novelty"
Column = tuple[np.ndarray, np.ndarray, bool]  # retrieved TRs of the bank, condition, certain


@dataclass(frozen=True)
class Curve:
    """What the prior made: ``rows`` of `CURVE`, and ``sounds`` by name, of the first subject.

    ``retrieved``: rows ``column subject tr source onset``, the clip of every test TR (of the film);
    ``subject`` is empty where all are decoded together, and of the true slow part.
    """

    rows: list[dict]
    sounds: dict[str, np.ndarray]
    retrieved: list[dict]


def anchored_prior(
    aligned: xr.Dataset,
    data: FilmData,
    autoencoder: Autoencoder,
    processor: AudioProcessor,
    film_sound: np.ndarray,
    bank: Bank,
    config: Config,
    regions: Regions | None = None,
) -> Curve:
    """The curve of a film with scans.

    ``film_sound`` (n_samples,) is the whole film's, at ``processor.sample_rate``; ``regions``
    (n_voxels,) bool by name, for ``decoding.region``.
    """
    trs, t_r = aligned["tr"].values, processor.clock.t_r
    code = bottlenecks(autoencoder, data)

    @torch.inference_mode()
    def to_sound(bottleneck: np.ndarray, places: np.ndarray) -> np.ndarray:
        features = autoencoder.decode_audio(torch.from_numpy(np.asarray(bottleneck, np.float32)))
        return decoded_stretch(features.numpy(), places, processor, aligned.attrs)

    conditions = slow_conditions(
        autoencoder, code, data, t_r, config.decoding, config.scan, regions
    )
    test = trs[data.where("test")]
    original = film_stretch(film_sound, test, processor)
    options = (t_r, config.decoding, config.prior, config.seed)
    return curve(
        conditions,
        bank,
        autoencoder,
        code,
        data,
        trs,
        to_sound,
        original,
        processor.sample_rate,
        *options,
    )


def curve(
    conditions: Conditions,
    bank: Bank,
    autoencoder: Autoencoder,
    code: np.ndarray,
    data: FilmData,
    trs: np.ndarray,
    to_sound: Callable[[np.ndarray, np.ndarray], np.ndarray],
    original: np.ndarray,
    sample_rate: float,
    t_r: float,
    decoding: DecodingConfig,
    config: PriorConfig,
    seed: int,
) -> Curve:
    """The curve of the prior.

    Parameters
    ----------
    code : (n_trs, bottleneck_dim)
    trs : (n_trs,) of the film
    to_sound
        Bottlenecks (n, bottleneck_dim) and TRs (n,), in order, to sound (n_samples,).
    original : (n_samples,) the film's sound in test TRs, at ``sample_rate`` Hz

    Raises
    ------
    GibletError
        No stretch of the bank is as long as a clip that is retrieved.
    """
    test = data.where("test")
    stretches, clip_trs = held_out_stretches(data), trs_for(decoding.clip_seconds, t_r)
    cut = windows(stretches, max(1, trs_for(config.window_seconds, t_r)))
    bank_slow = conditions.space.components(
        audio_slow(autoencoder, bank.bottleneck), bank.stretches
    )
    longest = max(map(len, cut))
    starts = bank.starts(longest)
    if not len(starts):
        raise GibletError(
            f"anchored_prior: no stretch of the bank ({bank.name}) has the {longest} TRs of a clip "
            "that is retrieved; a shorter prior.window_seconds needs fewer"
        )
    columns = _columns(conditions, test, bank_slow, starts, cut)
    refiner = _refiner(conditions, autoencoder, code, data, seed)
    levels = _levels(
        to_sound(bank.bottleneck, _apart(bank.stretches)), sample_rate, len(bank.source)
    )
    options = (clip_trs, decoding.clip_seconds, decoding.n_permutations, seed)
    scorer = _Scorer(original, sample_rate, stretches, *options)
    film = _levels(to_sound(code[test], trs[test]), sample_rate, len(test))
    if scorer.n_clips < N_WAY:
        logger.warning(
            "anchored_prior: the test part has %d clips of %g s, and identification needs %d: "
            "faithfulness is left out, novelty is scored",
            scorer.n_clips,
            decoding.clip_seconds,
            N_WAY,
        )
    rows = [scorer.row(ORIGINAL, np.nan, NOVELTY, novelty(film, levels, starts, cut))]
    rows += _slow_rows(conditions, test, scorer)
    sounds = {}
    for strength in progress(config.strengths, "refining", "strengths"):
        for column, brains in columns.items():
            waves = [
                to_sound(
                    refine(refiner, bank.bottleneck[chosen], condition, strength, seed, certain),
                    trs[test],
                )
                for chosen, condition, certain in brains
            ]
            rows += scorer.sound_rows(column, strength, waves)
            new = [novelty(_levels(w, sample_rate, len(test)), levels, starts, cut) for w in waves]
            rows.append(scorer.row(column, strength, NOVELTY, np.mean(new, axis=0)))
            sounds[f"{column}_{strength:g}"] = waves[0]
    retrieved = [
        row
        for name, brains in columns.items()
        for row in _retrieved(name, brains, bank, trs[test], data.subjects)
    ]
    return Curve(rows, sounds, retrieved)


def _columns(
    conditions: Conditions, test: np.ndarray, bank: np.ndarray, starts: np.ndarray, cut: Sequence
) -> dict[str, list[Column]]:
    """Clips of the bank that were retrieved, and conditions, by column one of each subject."""
    columns = {
        name: [
            (retrieve(one, bank, starts, cut, d), d.expected(one), False)
            for one, d in zip(decoded, conditions.decoders[name], strict=True)
        ]
        for name, decoded in conditions.decoded.items()
    }
    true = conditions.true[test]
    return columns | {TRUE: [(retrieve(true, bank, starts, cut), true, True)]}


def _refiner(
    conditions: Conditions, autoencoder: Autoencoder, code: np.ndarray, data: FilmData, seed: int
) -> Refiner:
    """Trained on training TRs, with the slow part as every brain has it there."""
    train = data.where("train")
    n_slots = getattr(autoencoder.join, "n_slots", 1)
    slots = code[train].reshape(len(train), n_slots, -1)
    decoded = [d.expected(d.held_out) for brains in conditions.decoders.values() for d in brains]
    stretches = [np.searchsorted(train, one) for one in data.stretches("train")]
    return train_refiner(slots, conditions.true[train], decoded, stretches, seed)


def _levels(wave: np.ndarray, sample_rate: float, n_trs: int) -> np.ndarray:
    return sound_features(wave, int(sample_rate), n_trs)


def _apart(stretches: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers of TRs (n_trs,), with a break between stretches.

    >>> _apart([np.arange(2), np.arange(2, 4)]).tolist()
    [0, 1, 3, 4]
    """
    return np.concatenate([stretch + n for n, stretch in enumerate(stretches)])


def _slow_rows(conditions: Conditions, test: np.ndarray, scorer: "_Scorer") -> Iterator[dict]:
    """Identification of clips by the decoded slow part, weighted by its certainty."""
    for column, decoded in conditions.decoded.items():
        pairs = [
            (d.expected(one) / np.sqrt(d.spread), conditions.true[test] / np.sqrt(d.spread))
            for one, d in zip(decoded, conditions.decoders[column], strict=True)
        ]
        yield from scorer.identification_rows(column, np.nan, SLOW, pairs)


def _retrieved(
    name: str, brains: Sequence[Column], bank: Bank, trs: np.ndarray, subjects: Sequence[str]
) -> Iterator[dict]:
    names = subjects if len(brains) == len(subjects) and name != TRUE else [""] * len(brains)
    for subject, (chosen, _condition, _certain) in zip(names, brains, strict=True):
        for tr, at in zip(trs.tolist(), chosen, strict=True):
            source = {"source": bank.source[at], "onset": float(bank.onset[at])}
            yield {"column": name, "subject": subject, "tr": tr} | source


@dataclass(frozen=True)
class _Scorer:
    original: np.ndarray
    rate: float
    stretches: Sequence[np.ndarray]
    clip_trs: int
    clip_seconds: float
    n_permutations: int
    seed: int

    @property
    def n_trs(self) -> int:
        return sum(map(len, self.stretches))

    @property
    def n_clips(self) -> int:
        return sum(len(stretch) // self.clip_trs for stretch in self.stretches)

    def row(
        self, column: str, strength: float, metric: str, scores: np.ndarray, p: float = np.nan
    ) -> dict:
        """One row; ``scores`` (n_moments,) have a bootstrap interval."""
        drawn = summarise(metric, np.asarray(scores, float), self.seed, N_BOOTSTRAP)
        drawn.pop("n_failed")
        return {"column": column, "strength": strength, "metric": metric, "p": p} | drawn

    def sound_rows(
        self, column: str, strength: float, waves: Sequence[np.ndarray]
    ) -> Iterator[dict]:
        """Identification of clips by sounds (n_samples,), one of each subject, and its null."""
        levels = [_levels(wave, self.rate, self.n_trs) for wave in (self.original, *waves)]
        truth, *own = [one - one.mean(axis=0) for one in levels]
        yield from self.identification_rows(column, strength, SOUND, [(one, truth) for one in own])

    def identification_rows(
        self,
        column: str,
        strength: float,
        metric: str,
        pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> Iterator[dict]:
        """Rows of a column and its null; ``pairs``: guess and truth (n_test, n_features) each."""
        clips = [[join_clips(x, self.stretches, self.clip_trs) for x in pair] for pair in pairs]
        if len(clips[0][0]) < N_WAY:
            return
        shares = np.stack([identification_shares(guess, true, N_WAY) for guess, true in clips])
        shares = np.where(np.isnan(shares), 1 / N_WAY, shares)  # nothing decoded: chance
        p = identification_shares_p(shares, self.n_permutations, self.seed)
        own = shares.diagonal(axis1=1, axis2=2).mean(axis=0)
        yield self.row(column, strength, metric, own, p)
        shifts = null_shifts(shares.shape[-1], self.clip_seconds, self.seed)
        if column in NULLS and len(shifts):
            null = shifted_shares(shares, shifts).mean(axis=(0, 1))
            yield self.row(NULLS[column], strength, metric, null)


def curve_table(path: str, bank: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `curve` as a table with the columns `CURVE`; ``bank``: its name."""
    return pd.DataFrame(rows).assign(path=path, bank=bank).reindex(columns=CURVE)
