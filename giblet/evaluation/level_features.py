"""Levels of a film on the clock of scans: codebooks, layers, mel, bottleneck, video, words."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.own_runs import clock_groups
from giblet.alignment.regressors import regress
from giblet.alignment.showings import volume_trs
from giblet.alignment.sync import match_scans
from giblet.audio.codec_levels import codec_levels
from giblet.audio.framing import ungroup_trs
from giblet.audio.model_features import mean_in_bins
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.errors import GibletError
from giblet.film.modalities import modality_of
from giblet.stats.encoding_maps import ClockGroup
from giblet.stats.intersubject import repeat_ceiling
from giblet.stats.level_encoding import Key
from giblet.timing import frames_rate_hz

logger = logging.getLogger(__name__)

SOUND = "sound"  # the space of the whole sound: mel, latents of all codebooks, bottleneck
FILM = "film"  # the space of the rest: video, text, number of words


@dataclass(frozen=True)
class FilmLevel:
    """One level: ``values`` (n_samples, n_features) at ``rate_hz`` from the film's first TR on."""

    space: str
    level: str
    values: np.ndarray
    rate_hz: float


def film_levels(
    film: xr.Dataset, t_r: float, processor: AudioProcessor | None = None
) -> Iterator[FilmLevel]:
    """The levels of one array set of features by TR, of the whole film.

    Of codes all of `codec_levels`, and the latents; of mel the levels of its bands; of layers of
    models and of a score each feature space; of video and text one level, and the number of words
    where it is known. ``processor`` for sound alone. GibletError where TRs are missing, or codes
    are of another codec.
    """
    if "tr" in film.coords and (film["tr"].values != np.arange(film.sizes["tr"])).any():
        raise GibletError("features must be of every TR of the film: some are missing here")
    modality = modality_of(film)
    if processor is None:
        values, rate = modality.regressors(film, t_r, None)
        if (spaces := f"{modality.name}_space") in film.coords:
            names = film[spaces].values.astype(str)
            for name in dict.fromkeys(names.tolist()):
                yield FilmLevel(modality.name, name, values[:, names == name], rate)
        else:
            yield FilmLevel(FILM, modality.name, values, rate)
        if "n_words" in film:
            counts = film["n_words"].values[:, None]
            yield FilmLevel(FILM, "n_words", counts, frames_rate_hz(1, t_r))
        return
    features = processor.check_features(film["audio"].values, film.attrs)
    values, rate = processor.regressors(features)
    yield FilmLevel(SOUND, "mel" if processor.codec is None else "latents", values, rate)
    if processor.codec is not None:
        stream = ungroup_trs(features, processor.clock)
        for space, level, values in codec_levels(processor.codec, stream):
            yield FilmLevel(space, level, values, rate)


def on_scanned_trs(
    words: xr.Dataset, scans: xr.Dataset, t_r: float, max_trs: int | None = None
) -> xr.Dataset:
    """Features of words on all TRs that were scanned, or the first ``max_trs``: 0 after the last
    word."""
    n_scanned = int(volume_trs(scans, t_r).max()) + 1
    n_trs = min(n_scanned, max_trs or n_scanned)
    numbered = words.assign_coords(tr=np.arange(words.sizes["tr"]))
    return numbered.reindex(tr=np.arange(n_trs), fill_value=0)


def bottleneck_level(
    autoencoder: Autoencoder | None, data: FilmData, trs: np.ndarray, t_r: float
) -> Iterator[FilmLevel]:
    """The bottleneck of the aligned TRs ``trs`` (n_trs,), minus its training mean; 0 in others.

    None, with a warning, without a model, and of one whose inputs the HRF has blurred already.
    """
    if autoencoder is None:
        logger.warning("no bottleneck among the levels: no trained model was given")
        return
    if autoencoder.config.hrf_placement == "inputs":
        logger.warning("no bottleneck among the levels: model.hrf_placement is inputs")
        return
    code = bottlenecks(autoencoder, data)
    values = np.zeros((int(trs.max()) + 1, code.shape[1]), dtype=np.float32)
    values[trs] = code - code[data.where("train")].mean(axis=0)
    yield FilmLevel(SOUND, "bottleneck", values, frames_rate_hz(1, t_r))


def levels_on_trs(
    levels: Iterable[FilmLevel],
    scans: xr.Dataset,
    trs: np.ndarray,
    t_r: float,
    hrf_model: str,
    lags: tuple[float, ...] = (),
    is_train: np.ndarray | None = None,
) -> tuple[list[ClockGroup], dict[Key, np.ndarray]]:
    """Levels convolved with the HRF at each subject's volumes, and their means in each TR.

    Parameters
    ----------
    levels
        Read one after the other; of the same space and level the first counts.
    scans
        As ``giblet.io.arrays.open_arrays`` reads them; BOLD itself is not read.
    trs : (n_trs,)
        TRs of the film in the aligned arrays.
    hrf_model, lags
        As of `regress`.
    is_train : (n_trs,) bool
        TRs whose means are subtracted, as of `clock_groups`; all unless given.

    Returns
    -------
    groups
        Subjects with the same clock, with ``bands`` (space, level) → (n_trs, n_features).
    targets
        (space, level) → (n_trs, n_features), not convolved.

    Raises
    ------
    GibletError
        The scans cover other TRs than ``trs``.
    """
    n_trs = int(trs.max()) + 1
    match = match_scans(scans, t_r, n_trs)
    if not np.array_equal(match.trs, trs):
        raise GibletError(
            "the aligned arrays are of other TRs than the scans: run sync_align again"
        )
    bands, targets = {}, {}
    for one in levels:
        key = one.space, one.level
        if key in bands:  # words are counted by embed_text and by word_features
            continue
        bands[key] = regress(one.values, one.rate_hz, scans, t_r, hrf_model, lags)
        targets[key] = mean_in_bins([one.values], one.rate_hz, t_r, n_trs)[trs]
    return clock_groups(bands, match, scans["film_time"].values, is_train), targets


def level_ceilings(quality: xr.Dataset, columns: np.ndarray, is_mean: bool) -> np.ndarray:
    """Largest r of a model of what repeats, (n_subjects, n_columns); NaN where it is unknown.

    ``quality``: maps of `giblet.evaluation.brain_quality`, of which ``columns`` are taken. Of
    repeated stimuli by the variance that repeats in each subject, of one presentation or, with
    ``is_mean``, of their mean; else by the variance that subjects share.
    """
    maps, n_subjects = quality.isel(voxel=columns), quality.sizes["subject"]
    if (name := "ceiling_repeats" if is_mean else "ceiling_single") in maps:
        return maps[name].values
    if "explainable_variance" not in maps:
        return np.full((n_subjects, len(columns)), np.nan)
    return np.tile(repeat_ceiling(maps["explainable_variance"].values), (n_subjects, 1))
