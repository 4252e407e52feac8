"""Held-out sound through the codec, the bottleneck and the brain, with every score."""

import logging

import numpy as np
import torch
import xarray as xr

from giblet.audio.processor import AudioProcessor
from giblet.dataset import FilmData
from giblet.decoding import decode_subject, lags_in_trs
from giblet.evaluation import (
    bold_rows,
    code_rows,
    identification_2way,
    rate_rows,
    reliable_voxels,
    score_row,
    sound_rows,
)
from giblet.models.autoencoder import Autoencoder
from giblet.models.reading import bottlenecks, predict_bold
from giblet.ridge import ridge_encoding
from giblet.settings import DecodingConfig
from giblet.timing import count_samples

logger = logging.getLogger(__name__)


def reconstruct(
    aligned: xr.Dataset,
    data: FilmData,
    autoencoder: Autoencoder,
    processor: AudioProcessor,
    film_sound: np.ndarray,
    decoding: DecodingConfig,
    seed: int,
) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Sounds of the test part by column, and rows of the score table.

    ``film_sound`` (n_samples,) is the whole film's, at ``processor.sample_rate``. Where there are
    scans, the brain columns hold the first subject's sound, and scores pool all subjects.
    """
    test = data.where("test")
    audio, trs = aligned["audio"].values, aligned["tr"].values[test]
    code = bottlenecks(autoencoder, data)  # (n_trs, bottleneck_dim)

    def sound(features: np.ndarray) -> np.ndarray:
        return processor.features_to_audio(features, attrs=aligned.attrs, first_tr=trs[0])

    def decoded(bottleneck: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            latent = torch.from_numpy(np.asarray(bottleneck, dtype=np.float32))
            return sound(autoencoder.decode_audio(latent).numpy())

    original = _cut(film_sound, trs, processor)
    estimates = {"codec": [sound(audio[test])], "stimulus": [decoded(code[test])]}
    rows = rate_rows(processor)
    if processor.use_encodec:
        rows += code_rows(autoencoder, code[test], data, seed)
    if data.bold is None:
        logger.warning("no scan was given: there is no brain column")
    else:
        brain, brain_rows = _decode_brains(code, data, processor.clock.t_r, decoding, seed)
        rows += brain_rows + _encoding_rows(aligned, code, data, autoencoder, seed)
        for column, values in brain.items():
            make = decoded if column != "nearest_clip" else lambda nearest: sound(audio[nearest])
            estimates[column] = [make(value) for value in values]
    rows += sound_rows(original, estimates, processor.sample_rate, seed)
    return {"original": original} | {c: waves[0] for c, waves in estimates.items()}, rows


def _cut(film_sound: np.ndarray, trs: np.ndarray, processor: AudioProcessor) -> np.ndarray:
    """The film's sound during ``trs``, TRs in a row."""
    start = count_samples(processor.clock.duration(int(trs[0])), processor.sample_rate)
    length = count_samples(processor.clock.duration(len(trs)), processor.sample_rate)
    piece = film_sound[start : start + length]
    return np.pad(piece, (0, length - len(piece)))


def _decode_brains(
    code: np.ndarray, data: FilmData, t_r: float, decoding: DecodingConfig, seed: int
) -> tuple[dict[str, list[np.ndarray]], list[dict]]:
    """Bottlenecks (or, for nearest_clip, training TRs) by column, one a subject; their scores."""
    train, test = data.where("train"), data.where("test")
    by_column: dict[str, list[np.ndarray]] = {}
    for bold in data.bold.numpy():  # (n_trs, n_voxels)
        found = decode_subject(bold, data.run, code, train, test, lags_in_trs(t_r, decoding))
        for column, values in found.items():
            by_column.setdefault(column, []).append(values)
    rows = []
    for column, values in by_column.items():
        guesses = [code[v] if column == "nearest_clip" else v for v in values]
        if column == "brain_mean":
            continue  # one and the same bottleneck for all TRs identifies nothing
        scores = [identification_2way(guess, code[test]) for guess in guesses]
        rows.append(score_row(column, "identification_2way", np.concatenate(scores), seed))
    return by_column, rows


def _encoding_rows(
    aligned: xr.Dataset, code: np.ndarray, data: FilmData, autoencoder: Autoencoder, seed: int
) -> list[dict]:
    """BOLD of test TRs predicted by the network and by its linear peer."""
    train, test = data.where("train"), data.where("test")
    measured = data.bold.numpy()
    ridge = [
        ridge_encoding(regressors, bold, train, test)
        for regressors, bold in zip(aligned["regressors"].values, measured, strict=True)
    ]
    network = predict_bold(autoencoder, code, data.run)[:, test]
    reliable = reliable_voxels(measured[:, train])
    return [
        *bold_rows("encoding", network, measured[:, test], reliable, seed),
        *bold_rows("encoding_ridge", np.stack(ridge), measured[:, test], reliable, seed),
    ]
