"""Commands for feature spaces of pretrained models, which linear models alone read."""

from pathlib import Path

from giblet.commands.option_help import OutputFile
from giblet.config.config import Config

_MOMENTS = 4  # of a TR


def sound_features(
    film: Path, spaces: OutputFile, config: Config, stimuli: Path | None = None
) -> None:
    """Compute layers of an audio model (``sound_model``) on the film's sound in TRs.

    With ``--stimuli`` the film is that of join_stimuli, and each stimulus is computed by itself.

    Example: giblet sound_features --film film.mp4 --spaces trs/sound_model.nc
    """
    from giblet.alignment.regressors import reach_warnings
    from giblet.alignment.stimulus_features import begun_trs, on_film
    from giblet.audio.files import sound_blocks, sound_duration
    from giblet.audio.model_features import SoundModel, mean_in_bins
    from giblet.audio.stimuli import stimulus_sounds
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.io.checksums import fingerprint
    from giblet.timing import frames_rate_hz, samples_duration, whole_trs

    own, t_r, track = config.sound_model, config.t_r, config.audio_track
    model = SoundModel(own.name, own.layers, own.step_seconds, own.context_seconds)
    clock = StimulusClock.read(stimuli, t_r) if stimuli else None
    n_trs = clock.n_film_trs if clock else whole_trs(sound_duration(film, track), t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    bin_seconds = samples_duration(1, frames_rate_hz(_MOMENTS, t_r))

    def in_trs(blocks, n_trs: int):
        frames = model.features(blocks)
        return mean_in_bins(frames, model.rate_hz, bin_seconds, n_trs * _MOMENTS)

    if clock:
        sounds = stimulus_sounds(film, clock, model.sample_rate)
        parts = ((k, in_trs(blocks, begun_trs(clock, k))) for k, blocks in sounds)
        values = on_film(clock, parts, n_trs, _MOMENTS)
    else:
        values = in_trs(sound_blocks(film, model.sample_rate, track=track), n_trs)
    warnings = [] if clock else reach_warnings(model.reach_seconds, config.splits)
    attrs = {"t_r": t_r, "model": own.name, "input": fingerprint(film), "warnings": warnings}
    _save_layers(values, model, n_trs, spaces, "sound_model", attrs)


def _save_layers(values, model, n_trs: int, spaces: Path, name: str, attrs: dict) -> None:
    """Layers side by side, (n_trs * n_moments, n_features), as the array set of SPACE_SETS."""
    import numpy as np

    from giblet.film.modalities import SPACE_SETS
    from giblet.io.arrays import save_arrays

    layers = np.split(values, np.cumsum(model.widths)[:-1], axis=1)
    of_layers = {f"layer_{n}": layer for n, layer in zip(model.layers, layers, strict=True)}
    save_arrays(SPACE_SETS[name].arrays(of_layers, n_trs).assign_attrs(attrs), spaces)


def picture_features(film: Path, spaces: OutputFile, config: Config) -> None:
    """Compute layers of an image or video model (``picture_model``) in TRs.

    Of many stimuli the film is their table, and each is computed by itself.

    Example: giblet picture_features --film film.mp4 --spaces trs/picture_model.nc
    """
    from giblet.alignment.stimulus_features import begun_trs, on_film
    from giblet.alignment.stimulus_pictures import StimulusPictures
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.errors import GibletError
    from giblet.film.picture_layers import PictureModel
    from giblet.film.video import trs_of_pictures
    from giblet.io.checksums import fingerprint
    from giblet.timing import tr_moments

    own, t_r = config.picture_model, config.t_r
    clock = StimulusClock.read(film, t_r) if config.has_stimuli else None
    n_trs = clock.n_film_trs if clock else trs_of_pictures(film, t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    model = PictureModel(own.name, own.layers, own.clip_seconds)

    def in_trs(pictures, n_trs: int):
        return model.features(pictures, tr_moments(n_trs, t_r, own.n_moments))

    warnings: list[str] = []
    if clock:
        stimuli = StimulusPictures(clock)
        parts = ((k, in_trs(pictures, begun_trs(clock, k))) for k, pictures in stimuli.each())
        values = on_film(clock, parts, n_trs, own.n_moments)
        warnings = stimuli.warnings(values.any(axis=1).reshape(n_trs, -1)) if values.size else []
    else:
        values = in_trs(film, n_trs)
    if not values.any():
        what = "no stimulus has video" if clock else f"{film}: no frame is on screen in any TR"
        raise GibletError(f"{what}: set picture_model.name: none")
    attrs = {"t_r": t_r, "model": own.name, "warnings": warnings}
    attrs["input"] = fingerprint(film, *(filter(None, dict.fromkeys(clock.files)) if clock else ()))
    _save_layers(values, model, n_trs, spaces, "picture_model", attrs)


def word_features(
    annotations: Path, spaces: OutputFile, config: Config, film: Path | None = None
) -> None:
    """Compute words in context, surprisal, vectors and form (``word_model``) in TRs.

    Of many stimuli the annotations are their table, and context starts again with each.

    Example: giblet word_features --annotations said.tsv --spaces trs/word_model.nc
    """
    from giblet.alignment.stimulus_words import stimulus_words
    from giblet.audio.files import sound_duration
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.film.annotations import read_annotations
    from giblet.film.modalities import SPACE_SETS
    from giblet.film.text import count_words
    from giblet.film.word_spaces import single_words, word_spaces
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.timing import whole_trs

    t_r, options = config.t_r, config.words.model_dump()
    clock = StimulusClock.read(annotations, t_r) if config.has_stimuli else None
    rows = stimulus_words(clock, **options) if clock else read_annotations(annotations, **options)
    end = float((rows["onset"] + rows["duration"]).max())
    n_trs = whole_trs(sound_duration(film, config.audio_track) if film else end, t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    own = config.word_model.model_dump()
    begins = clock.begins if clock else (0.0,)
    of_words, warnings = word_spaces(single_words(rows), t_r, n_trs, begins=begins, **own)
    arrays = SPACE_SETS["word_model"].arrays(of_words, n_trs)
    arrays["n_words"] = ("tr", count_words(rows, t_r, n_trs))
    files = [Path(path) for path in dict.fromkeys(clock.annotations) if path] if clock else []
    attrs = {"t_r": t_r, "model": config.word_model.name}
    attrs["warnings"] = rows.attrs["warnings"] + warnings
    attrs["input"] = fingerprint(annotations, *files)
    save_arrays(arrays.assign_attrs(attrs), spaces)
