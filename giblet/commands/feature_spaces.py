"""Commands for feature spaces of pretrained models, which linear models alone read."""

from pathlib import Path

from giblet.commands.option_help import OutputFile
from giblet.config.config import Config

_MOMENTS = 4  # of a TR


def sound_features(film: Path, spaces: OutputFile, config: Config) -> None:
    """Compute layers of an audio model (``sound_model``) on the film's sound in TRs.

    Example: giblet sound_features --film film.mp4 --spaces trs/sound_model.nc
    """
    import numpy as np

    from giblet.audio.files import sound_blocks, sound_duration
    from giblet.audio.model_features import SoundModel, mean_in_bins
    from giblet.film.modalities import SPACE_SETS
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.timing import frames_rate_hz, samples_duration, whole_trs

    own = config.sound_model
    model = SoundModel(own.name, own.layers, own.step_seconds, own.context_seconds)
    n_trs = whole_trs(sound_duration(film, config.audio_track), config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    frames = model.features(sound_blocks(film, model.sample_rate, track=config.audio_track))
    n_bins = n_trs * _MOMENTS
    bin_seconds = samples_duration(1, frames_rate_hz(_MOMENTS, config.t_r))
    values = mean_in_bins(frames, model.rate_hz, bin_seconds, n_bins)
    layers = np.split(values, np.cumsum(model.widths)[:-1], axis=1)
    of_layers = {f"layer_{n}": layer for n, layer in zip(model.layers, layers, strict=True)}
    arrays = SPACE_SETS["sound_model"].arrays(of_layers, n_trs)
    attrs = {"t_r": config.t_r, "model": own.name, "input": fingerprint(film)}
    save_arrays(arrays.assign_attrs(attrs), spaces)


def picture_features(film: Path, spaces: OutputFile, config: Config) -> None:
    """Compute layers of an image or video model (``picture_model``) in TRs.

    Example: giblet picture_features --film film.mp4 --spaces trs/picture_model.nc
    """
    import numpy as np

    from giblet.film.modalities import SPACE_SETS
    from giblet.film.picture_layers import PictureModel
    from giblet.film.video import trs_of_pictures
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.timing import tr_moments

    own = config.picture_model
    n_trs = trs_of_pictures(film, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    model = PictureModel(own.name, own.layers, own.clip_seconds)
    values = model.features(film, tr_moments(n_trs, config.t_r, own.n_moments))
    layers = np.split(values, np.cumsum(model.widths)[:-1], axis=1)
    of_layers = {f"layer_{n}": layer for n, layer in zip(model.layers, layers, strict=True)}
    arrays = SPACE_SETS["picture_model"].arrays(of_layers, n_trs)
    attrs = {"t_r": config.t_r, "model": own.name, "input": fingerprint(film)}
    save_arrays(arrays.assign_attrs(attrs), spaces)


def word_features(
    annotations: Path, spaces: OutputFile, config: Config, film: Path | None = None
) -> None:
    """Compute words in context, surprisal, vectors and form (``word_model``) in TRs.

    Example: giblet word_features --annotations said.tsv --spaces trs/word_model.nc
    """
    from giblet.audio.files import sound_duration
    from giblet.film.annotations import read_annotations
    from giblet.film.modalities import SPACE_SETS
    from giblet.film.text import count_words
    from giblet.film.word_spaces import single_words, word_spaces
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.timing import whole_trs

    rows = read_annotations(annotations, **config.words.model_dump())
    end = float((rows["onset"] + rows["duration"]).max())
    n_trs = whole_trs(sound_duration(film, config.audio_track) if film else end, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    own = config.word_model.model_dump()
    of_words, warnings = word_spaces(single_words(rows), config.t_r, n_trs, **own)
    arrays = SPACE_SETS["word_model"].arrays(of_words, n_trs)
    arrays["n_words"] = ("tr", count_words(rows, config.t_r, n_trs))
    attrs = {"t_r": config.t_r, "model": config.word_model.name, "warnings": warnings}
    save_arrays(arrays.assign_attrs(attrs, input=fingerprint(annotations)), spaces)
