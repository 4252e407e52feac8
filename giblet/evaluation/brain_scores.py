"""Bottlenecks decoded from every subject's BOLD and from null models, and their scores."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, voxels_to_read
from giblet.audio.metrics.identify import (
    identification_shares,
    identification_shares_p,
    join_clips,
    permuted_shares,
    sound_features,
)
from giblet.audio.metrics.table import (
    BOTTLENECK,
    CLIPS,
    METRICS,
    SOUND_CLIPS,
    TRS,
    Metric,
    identification_metrics,
)
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.sections import DecodingConfig
from giblet.evaluation.decoding import decode_subject, lags_in_trs
from giblet.evaluation.moments import MEAN, NEAREST, NULLS, Scored, moment_rows, score_row
from giblet.evaluation.nulls import mean_shifted_shares, null_shifts, shifted_shares
from giblet.evaluation.scores import share_right
from giblet.parallel import in_threads
from giblet.stats.pearson import correlation
from giblet.timing import count_samples, trs_for

Decoded = Mapping[str, Sequence[np.ndarray]]  # column → one array per subject


def region_rows(decoding: DecodingConfig, regions: Regions | None = None) -> list[dict]:
    """A row with the number of voxels of ``decoding.region``; none for the whole brain.

    >>> (row,) = region_rows(DecodingConfig(region="V1"), {"V1": np.array([True, False, True])})
    >>> row["metric"], row["value"]
    ('voxels_in_V1', 2)
    """
    if decoding.region is None:
        return []
    n_voxels, counted = int(regions[decoding.region].sum()), {"n": 1, "n_failed": 0}
    metric = f"voxels_in_{decoding.region}"
    return [{"column": "brain", "metric": metric, "value": n_voxels} | counted]


def decode_brains(
    code: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    regions: Regions | None = None,
    n_jobs: int = 1,
) -> dict[str, list[np.ndarray]]:
    """Bottlenecks of test TRs (or, for nearest_clip, training TRs) by column, one per subject.

    ``code`` (n_trs, bottleneck_dim). `voxels_to_read` chooses the voxels, by training TRs.
    ``n_jobs`` subjects at a time.
    """
    train, test = data.where("train"), data.where("test")
    bold = data.bold.numpy()  # (n_subjects, n_trs, n_voxels)
    read = bold[..., voxels_to_read(bold[:, train], decoding, regions)]
    decoded: dict[str, list[np.ndarray]] = {}
    lags = lags_in_trs(t_r, decoding)

    def of_subject(subject: int) -> dict[str, np.ndarray]:
        folds = data.penalty_folds(train, subject)
        return decode_subject(read[subject], data.run, code, train, test, lags, folds)

    for columns in in_threads(of_subject, range(len(read)), n_jobs):
        for column, values in columns.items():
            decoded.setdefault(column, []).append(values)
    return decoded


def identification_rows(
    decoded: Decoded,
    code: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    seed: int,
) -> list[dict]:
    """Rows of the score table from `identify_bottlenecks`."""
    scored = Scored()
    rows = identify_bottlenecks(scored, decoded, code, data, t_r, decoding, seed)
    return moment_rows(scored.moments, seed) + rows


def identify_bottlenecks(
    scored: Scored,
    decoded: Decoded,
    code: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    seed: int,
) -> list[dict]:
    """Identification of moments by decoded bottlenecks: adds scores to ``scored``; rows of others.

    Bottlenecks are compared after subtracting the training mean, which is the same for all
    moments. TRs are identified one by one, clips of ``decoding.clip_seconds`` as a whole. The rows
    returned are p-values, and correlations with the true bottleneck by subject.
    """
    train, test = data.where("train"), data.where("test")
    mean, rows = code[train].mean(axis=0), []
    truth, clip_trs = code[test] - mean, trs_for(decoding.clip_seconds, t_r)
    clips = join_clips(truth, held_out_stretches(data), clip_trs)
    for column, values in decoded.items():
        if column in (MEAN, *NULLS.values()):
            continue  # a mean identifies nothing; the null is the brain's, shifted
        guesses = [(code[v] if column == NEAREST else v) - mean for v in values]
        joined = [join_clips(guess, held_out_stretches(data), clip_trs) for guess in guesses]
        for pairs, moment, seconds in (
            ((guesses, truth), TRS, t_r),
            ((joined, clips), CLIPS, decoding.clip_seconds),
        ):
            what = (BOTTLENECK, moment)
            rows += identify_moments(scored, column, *pairs, what, seconds, decoding, seed)
        rows.append(score_row(column, "bottleneck_r", _mean_r(guesses, truth), seed))
        if column in NULLS and len(shifts := null_shifts(len(truth), t_r, seed)):
            shifted = [_mean_r([np.roll(g, k, axis=0) for g in guesses], truth) for k in shifts]
            rows.append(score_row(NULLS[column], "bottleneck_r", np.mean(shifted, axis=0), seed))
    return rows


def _mean_r(guesses: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Correlation over TRs, mean over features, of each subject: (n_subjects,)."""
    return np.array([np.nanmean(correlation(guess, truth)) for guess in guesses])


def identify_moments(
    scored: Scored,
    column: str,
    guesses: Sequence[np.ndarray],
    truth: np.ndarray,
    what: tuple[str, str],
    moment_seconds: float,
    decoding: DecodingConfig,
    seed: int,
) -> list[dict]:
    """Adds every `identification_metrics` of ``what`` to ``scored``, of the brain the null's, too.

    ``guesses`` and ``truth`` as of `add_identification`. Of clips, which are nearly independent,
    columns decoded from BOLD get a null of permutations. Rows of p-values, where the table of
    metrics has one.
    """
    rows, shifts = [], null_shifts(truth.shape[-2], moment_seconds, seed)
    for metric in identification_metrics(*what):
        if truth.shape[-2] < metric.n_way:
            continue
        tested = add_identification(scored, column, metric, guesses, truth, shifts)
        if metric.moment == CLIPS and column in (*NULLS, NEAREST):
            null = permuted_shares(tested[column], decoding.n_permutations, seed)
            scored.permuted[column, metric.name] = null
        if (p_name := f"{metric.name}_p") in METRICS:
            n = decoding.n_permutations
            p = {name: identification_shares_p(one, n, seed) for name, one in tested.items()}
            counted = {"n": 1, "n_failed": 0}
            rows += [{"column": c, "metric": p_name, "value": v} | counted for c, v in p.items()]
    return rows


def add_identification(
    scored: Scored,
    column: str,
    metric: Metric,
    guesses: Sequence[np.ndarray],
    truth: np.ndarray,
    shifts: np.ndarray,
) -> dict[str, np.ndarray]:
    """Add identification by one metric to ``scored``, of the brain the null of ``shifts``, too.

    ``guesses``, one a subject, and ``truth`` are (n_moments, n_features); ``truth`` may have one a
    subject, (n_subjects, n_moments, n_features). Returns the shares (n_guesses, n_moments,
    n_moments) of the column, and of the brain's null, by column.
    """
    truths = truth if truth.ndim == 3 else [truth] * len(guesses)
    pairs = zip(guesses, truths, strict=True)
    shares = np.stack([identification_shares(g, t, metric.n_way) for g, t in pairs])
    scored.add(column, metric.name, shares.diagonal(axis1=1, axis2=2))
    tested = {column: shares}
    if null := NULLS.get(column):
        scored.add_null(metric.name, shifted_shares(shares, shifts), null)
        tested[null] = mean_shifted_shares(shares, shifts)
    return tested


@torch.inference_mode()
def score_decoded_codes(
    scored: Scored,
    decoded: Decoded,
    autoencoder: Autoencoder,
    data: FilmData,
    t_r: float,
    seed: int,
) -> None:
    """Adds the share of each test TR's codes that are right, by column, to ``scored``."""
    test, codes = data.where("test"), data.film["audio"]
    for column, values in decoded.items():
        if column in NULLS.values():
            continue  # the brain's, shifted
        if column == NEAREST:
            guesses = [codes[v] for v in values]
        else:
            guesses = [autoencoder.decode_audio(torch.from_numpy(v).float()) for v in values]
        right = np.stack([share_right(guess, codes[test]) for guess in guesses])
        scored.add(column, "code_accuracy", right)
        if column in NULLS and len(shifts := null_shifts(len(test), t_r, seed)):
            rolled = [[guess.roll(int(k), 0) for guess in guesses] for k in shifts]
            null = [[share_right(guess, codes[test]) for guess in every] for every in rolled]
            scored.add_null("code_accuracy", np.array(null), NULLS[column])


def identify_sounds(
    scored: Scored,
    original: np.ndarray,
    estimates: Mapping[str, Sequence[np.ndarray]],
    sample_rate: float,
    data: FilmData,
    decoding: DecodingConfig,
    clip_trs: int,
    seed: int,
) -> None:
    """Adds identification of clips by decoded sounds (n_samples,), by levels of mel bands."""
    truth = sound_clips(original, sample_rate, data, clip_trs)
    for column, waves in estimates.items():
        if column in (MEAN, *NULLS.values()):
            continue
        clips = [sound_clips(wave, sample_rate, data, clip_trs) for wave in waves]
        what, seconds = (SOUND_CLIPS, CLIPS), decoding.clip_seconds
        identify_moments(scored, column, clips, truth, what, seconds, decoding, seed)


def sound_clips(
    waveform: np.ndarray, sample_rate: float, data: FilmData, clip_trs: int
) -> np.ndarray:
    """Mel levels of a sound (n_samples,) of the test TRs, by clip: (n_clips, n_features) dB.

    The mean of the sound is subtracted.
    """
    features = sound_features(waveform, sample_rate, len(data.where("test")))
    return join_clips(features - features.mean(axis=0), held_out_stretches(data), clip_trs)


def film_rows(trs: np.ndarray) -> list[np.ndarray]:
    """Indices into ``trs`` (n_trs,), TRs of the film in order, split where TRs are missing.

    >>> [row.tolist() for row in film_rows(np.array([4, 5, 9, 10]))]
    [[0, 1], [2, 3]]
    """
    return np.split(np.arange(len(trs)), np.flatnonzero(np.diff(trs) != 1) + 1)


def film_stretch(film_sound: np.ndarray, trs: np.ndarray, processor: AudioProcessor) -> np.ndarray:
    """The film's sound (n_samples,) during ``trs``, concatenated; zeros after its end."""
    pieces, rate = [], processor.sample_rate
    for row in film_rows(trs):
        start = count_samples(processor.clock.duration(int(trs[row[0]])), rate)
        length = count_samples(processor.clock.duration(len(row)), rate)
        piece = film_sound[start : start + length]
        pieces.append(np.pad(piece, (0, length - len(piece))))
    return np.concatenate(pieces)


def decoded_stretch(
    features: np.ndarray, trs: np.ndarray, processor: AudioProcessor, attrs: Mapping
) -> np.ndarray:
    """Sound (n_samples,) of features (n_trs, n_rows, frames_per_tr) of ``trs``; each of
    `film_rows` is decoded by itself. Aligned with `film_stretch` sample by sample."""
    return np.concatenate(
        [
            processor.features_to_audio(features[row], attrs=attrs, first_tr=int(trs[row[0]]))
            for row in film_rows(trs)
        ]
    )


def held_out_stretches(data: FilmData) -> list[np.ndarray]:
    """Consecutive test TRs, as indices among the test TRs."""
    test = data.where("test")
    return [np.searchsorted(test, stretch) for stretch in data.stretches("test")]
