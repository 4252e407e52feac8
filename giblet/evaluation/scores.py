"""Scores of codes, BOLD and bitrates, and the long table that holds every score."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.scores import SEGMENT_SECONDS, score_estimates
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.losses import code_cross_entropy, unigram_nats
from giblet.evaluation.moments import MomentScores, moment_rows, score_row


def sound_rows(
    original: np.ndarray,
    estimates: Mapping[str, Sequence[np.ndarray]],
    sample_rate: float,
    seed: int,
) -> list[dict]:
    """Rows of `sound_scores`: ``n`` counts segments, whose scores are means over subjects."""
    return moment_rows(sound_scores(original, estimates, sample_rate), seed)


def sound_scores(
    original: np.ndarray,
    estimates: Mapping[str, Sequence[np.ndarray]],
    sample_rate: float,
    n_jobs: int = 1,
) -> MomentScores:
    """Scores of the sounds of every column against the original, by segment.

    ``original`` and each of a column's estimates (one per subject, or one) are (n_samples,).
    ``n_jobs`` as of `giblet.audio.metrics.scores.score_estimates`.
    """
    columns = [column for column, waves in estimates.items() for _ in waves]
    waves = [wave for waves in estimates.values() for wave in waves]
    scored = score_estimates(original, waves, sample_rate, SEGMENT_SECONDS, n_jobs)
    by_subject: dict[tuple[str, str], list[np.ndarray]] = {}
    for column, scores in zip(columns, scored, strict=True):
        for metric, values in scores.items():
            by_subject.setdefault((column, metric), []).append(values)
    return {key: np.stack(values) for key, values in by_subject.items()}


def rate_rows(processor: AudioProcessor) -> list[dict]:
    """Values and kilobits of features per second of film, uncompressed."""
    coder = processor.coder
    values = coder.n_rows * processor.clock.film_frame_rate()
    rates = {"values_per_s": values, "kbit_per_s": values * coder.bits / 1000}
    return [
        {"column": "codec", "metric": metric, "value": value, "n": 1, "n_failed": 0}
        for metric, value in rates.items()
    ]


@torch.inference_mode()
def code_rows(
    autoencoder: Autoencoder, bottleneck: np.ndarray, data: FilmData, seed: int
) -> list[dict]:
    """Accuracy and cross-entropy of the codes of test TRs, by the model and by code frequencies."""
    codes, train = data.film["audio"][data.where("test")], data.film["audio"][data.where("train")]
    decoder, bottleneck = autoencoder.decoders["audio"], torch.from_numpy(bottleneck)
    nats = [
        float(code_cross_entropy(decoder.logits(one[None], true[None]), true[None]))
        for one, true in zip(bottleneck, codes, strict=True)
        if decoder.head.unit != "index"
    ]
    right = share_right(autoencoder.decode_audio(bottleneck), codes)
    size = autoencoder.shapes.codebook_size
    unigram = [float(unigram_nats(c[None], train, size)) for c in codes]
    most_common = torch.stack([row[row >= 0].mode().values for row in train.transpose(0, 1)])
    unigram_right = share_right(most_common[None, :, None], codes)
    return [
        score_row("stimulus", "code_accuracy", right, seed),
        *([score_row("stimulus", "cross_entropy_nats", nats, seed)] if nats else []),
        score_row("unigram", "code_accuracy", unigram_right, seed),
        score_row("unigram", "cross_entropy_nats", unigram, seed),
    ]


def share_right(guess: torch.Tensor, codes: torch.Tensor) -> np.ndarray:
    """Share of each TR's codes (n_trs, n_codebooks, n_frames) that are right; -1 is no code."""
    return ((guess == codes).sum(dim=(1, 2)) / (codes >= 0).sum(dim=(1, 2))).numpy()


def bold_rows(column: str, r: np.ndarray, reliable: np.ndarray, seed: int) -> list[dict]:
    """Accuracy of predicted BOLD, one value per subject: mean correlation over all voxels
    (``bold_r``) and over ``reliable`` ones (``bold_r_reliable``).

    ``r`` (n_subjects, n_voxels), may have NaN.
    """
    return [
        score_row(column, "bold_r", np.nanmean(r, axis=1), seed),
        score_row(column, "bold_r_reliable", np.nanmean(r[:, reliable], axis=1), seed),
    ]


def score_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows as the long table ``path column metric value low high n n_failed``."""
    table = pd.DataFrame(rows).assign(path=path)
    return table.reindex(
        columns=["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    )
