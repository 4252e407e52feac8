"""Held-out sound through codec or vocoder, bottleneck and brain, with all scores."""

import logging

import numpy as np
import torch
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, reliable_voxels
from giblet.audio.metrics.scores import speech_segments
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks, predict_bold
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.bold_identification import identify_by_bold
from giblet.evaluation.brain_scores import (
    decode_brains,
    decoded_stretch,
    film_stretch,
    identify_bottlenecks,
    identify_sounds,
    region_rows,
    score_decoded_codes,
)
from giblet.evaluation.group_decoding import decode_together
from giblet.evaluation.moments import (
    NEAREST,
    NULLS,
    SHUFFLED,
    Scored,
    difference_rows,
    moment_rows,
    segment_rows,
    subject_rows,
)
from giblet.evaluation.nulls import scores_and_nulls
from giblet.evaluation.permuted_clips import null_rows
from giblet.evaluation.scores import bold_rows, code_rows, rate_rows
from giblet.evaluation.yardsticks import yardsticks
from giblet.log import progress
from giblet.parallel import in_threads
from giblet.stats.intersubject import noise_ceiling
from giblet.stats.pearson import correlation
from giblet.stats.ridge import Folds, banded_weights, folds_within, ridge_encoding
from giblet.timing import trs_for

logger = logging.getLogger(__name__)


def reconstruct(
    aligned: xr.Dataset,
    data: FilmData,
    autoencoder: Autoencoder,
    processor: AudioProcessor,
    film_sound: np.ndarray,
    decoding: DecodingConfig,
    seed: int,
    regions: Regions | None = None,
    scan: ScanConfig | None = None,
    n_jobs: int = 1,
) -> tuple[dict[str, np.ndarray], list[dict], list[dict], list[dict], list[dict], list[dict]]:
    """Sounds of the test part by column; rows of scores, differences, subjects, nulls, segments.

    These rows are those of `difference_rows`, `subject_rows`, `null_rows` and `segment_rows`.

    ``film_sound`` (n_samples,) is the whole film's, at ``processor.sample_rate``. Where there are
    scans, the brain columns hold the first subject's sound, and scores are means over subjects.
    ``brain_shuffled`` is the sound of one shift of the BOLD, and the mean score of many.
    ``regions`` (n_voxels,) bool by name, for ``decoding.region``; a row then has its size.
    ``scan.alignment`` of the column ``brain_group``, which two subjects or more have. ``n_jobs``
    subjects or sounds at a time; results are the same for any number.
    """
    test = data.where("test")
    audio, trs = aligned["audio"].values, aligned["tr"].values[test]
    code = bottlenecks(autoencoder, data)  # (n_trs, bottleneck_dim)

    def sound(features: np.ndarray) -> np.ndarray:
        return decoded_stretch(features, trs, processor, aligned.attrs)

    def decoded(bottleneck: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            latent = torch.from_numpy(np.asarray(bottleneck, dtype=np.float32))
            return sound(autoencoder.decode_audio(latent).numpy())

    def brain_sound(one: tuple[str, np.ndarray]) -> np.ndarray:
        column, value = one
        return sound(audio[value]) if column == NEAREST else decoded(value)

    original = film_stretch(film_sound, trs, processor)
    estimates = {"codec": [sound(audio[test])], "stimulus": [decoded(code[test])]}
    rows, scored, t_r = rate_rows(processor), Scored(), processor.clock.t_r
    clip_trs, rate = trs_for(decoding.clip_seconds, t_r), processor.sample_rate
    if processor.use_encodec:
        rows += code_rows(autoencoder, code[test], data, seed)
    if data.bold is None:
        logger.warning("no scan was given: there is no brain column")
    else:
        brain = decode_brains(code, data, t_r, decoding, regions, n_jobs)
        brain |= decode_together(code, data, t_r, decoding, scan or ScanConfig(), regions)
        rows += region_rows(decoding, regions)
        rows += identify_bottlenecks(scored, brain, code, data, t_r, decoding, seed)
        if processor.use_encodec:
            score_decoded_codes(scored, brain, autoencoder, data, t_r, seed)
        predicted = predict_bold(autoencoder, code, data.run)[:, test]
        rows += _encoding_rows(aligned, predicted, data, seed)
        options = (t_r, decoding, scan or ScanConfig(), seed, regions)
        rows += identify_by_bold(scored, predicted, data, *options)
        brain[SHUFFLED] = brain[SHUFFLED][:1]  # to listen to; the null's scores are the brain's
        every = [(column, value) for column, values in brain.items() for value in values]
        waves = in_threads(brain_sound, every, n_jobs)
        done = progress(waves, "decoding", "sounds", total=len(every))
        for (column, _), wave in zip(every, done, strict=True):
            estimates.setdefault(column, []).append(wave)
        identify_sounds(scored, original, estimates, rate, data, decoding, clip_trs, seed)
    tested = {c: waves for c, waves in estimates.items() if c != SHUFFLED}
    own, shifted = scores_and_nulls(
        original, tested | yardsticks(original, rate, seed), rate, seed, n_jobs
    )
    scored.moments |= {key: scores for key, scores in own.items() if key[0] in tested}
    for (column, metric), scores in shifted.items():
        scored.add_null(metric, scores, NULLS[column])
    rows += moment_rows(scored.moments, seed)
    rows += moment_rows({key: s for key, s in own.items() if key[0] not in tested}, seed)
    sounds = {"original": original} | {c: waves[0] for c, waves in estimates.items()}
    subjects = [] if data.bold is None else aligned["subject"].values.astype(str).tolist()
    by_subject = list(subject_rows(scored.moments, subjects))
    nulls = list(null_rows(scored.moments, scored.permuted))
    segments = list(segment_rows(scored.moments, speech_segments(original, rate)))
    return sounds, rows, list(difference_rows(scored, clip_trs, seed)), by_subject, nulls, segments


def _encoding_rows(
    aligned: xr.Dataset, by_bottleneck: np.ndarray, data: FilmData, seed: int
) -> list[dict]:
    """Scores of predicted BOLD of test TRs: by the bottleneck (n_subjects, n_test, n_voxels), by
    linear baselines from the film, and the noise ceiling (its lower bound), which no model of the
    film can exceed by much."""
    train, test = data.where("train"), data.where("test")
    measured, film = data.bold.numpy(), aligned["regressors"].values
    ends = np.flatnonzero(np.diff(aligned["band"].values)) + 1

    def banded(regressors: np.ndarray, bold: np.ndarray, folds: Folds | None) -> np.ndarray:
        bands = np.split(regressors[train].astype(np.float64), ends, axis=1)
        own = folds_within(folds, train)
        weights, offsets = banded_weights(bands, bold[train], folds=own, n_iter=10)
        return regressors[test] @ weights + offsets

    folds = [data.penalty_folds(train, subject) for subject in range(len(measured))]
    each = list(zip(film, measured, folds, strict=True))
    plain = [ridge_encoding(x, bold, train, test, own) for x, bold, own in each]
    predicted = {
        "encoding": by_bottleneck,
        "encoding_ridge": np.stack(plain),
        "encoding_banded": np.stack([banded(*one) for one in each]),
    }
    r = {
        column: np.stack([correlation(p, m) for p, m in zip(bold, measured[:, test], strict=True)])
        for column, bold in predicted.items()
    }
    if len(measured) > 1:
        r["noise_ceiling"] = noise_ceiling(measured[:, test])[0]
    reliable = reliable_voxels(measured[:, train])
    return [row for column, one in r.items() for row in bold_rows(column, one, reliable, seed)]
