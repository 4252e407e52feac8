"""Commands for the film: audio, video and text features in TRs."""

from pathlib import Path
from typing import TYPE_CHECKING

from giblet.commands.option_help import OutputFile
from giblet.config.config import Config

if TYPE_CHECKING:
    import numpy as np


def _clock(table: Path, config: Config):
    """The clock of many stimuli, of the table that ``join_stimuli`` wrote; None of one film."""
    from giblet.brain.stimulus_clock import StimulusClock

    return StimulusClock.read(table, config.t_r) if config.has_stimuli else None


def _extract_sound(film: Path, stream: Path, path: str, config: Config) -> None:
    """A film's sound to a stream of code frames (path encodec) or mel frames (path mel)."""
    import xarray as xr

    from giblet.audio.processor import AudioProcessor
    from giblet.film.tracks import chosen_track
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint

    processor = AudioProcessor.from_config(config, path)
    frames, n_trs = processor.extract(film, config.max_trs, config.audio_track)
    arrays = xr.Dataset({"stream": (("row", "frame"), frames)})
    facts = processor.facts() | {"n_trs": n_trs, "film": film.name, "input": fingerprint(film)}
    facts["sound_track"] = chosen_track(film, config.audio_track)
    save_arrays(arrays.assign_attrs(facts), stream)


def join_stimuli(source: Path, sound: OutputFile, stimuli: OutputFile, config: Config) -> None:
    """Join the sounds of a folder or table to one film, with silence between them.

    The table says with which TR of it each stimulus begins.

    Example: giblet join_stimuli --source sounds --sound stimuli.wav --stimuli stimuli.tsv
    """
    from giblet.audio.stimuli import join_stimuli
    from giblet.io.tables import save_table

    clock = join_stimuli(source, sound, config.t_r, config.events.rest_seconds)
    save_table(clock.table(), stimuli)


def extract_codes(film: Path, codes: OutputFile, config: Config) -> None:
    """Encode the film's sound: codes of the codec, (n_codebooks, n_frames).

    Example: giblet extract_codes --film film.mp4 --codes codes.nc
    """
    _extract_sound(film, codes, "encodec", config)


def extract_mel(film: Path, mel: OutputFile, config: Config) -> None:
    """Compute the mel spectrogram of the film's sound in dB, (n_mels, n_frames).

    Example: giblet extract_mel --film film.mp4 --mel mel.nc --settings '{"t_r": 2.0}'
    """
    _extract_sound(film, mel, "mel", config)


def group_trs(stream: Path, trs: OutputFile) -> None:
    """Cut a stream of frames into TRs: (n_trs, rows, frames_per_tr).

    Example: giblet group_trs --stream codes.nc --trs trs/encodec.nc
    """
    from giblet.audio.framing import group_trs
    from giblet.audio.processor import tr_table
    from giblet.io.arrays import load_arrays, save_arrays
    from giblet.io.schema import STREAM
    from giblet.timing import TrClock

    arrays = load_arrays(stream, *STREAM)
    facts = arrays.attrs
    clock, n_trs = TrClock.from_facts(facts), facts["n_trs"]
    grouped = group_trs(arrays["stream"].values, clock, n_trs)
    table = tr_table(clock, n_trs).set_index("tr_index").rename_axis("tr").to_xarray()
    save_arrays(table.assign(audio=(("tr", "row", "frame"), grouped)).assign_attrs(facts), trs)


def extract_video(film: Path, video: OutputFile, config: Config) -> None:
    """Extract video frames in TRs; a file without video gives an empty data set.

    Of many stimuli the film is their table.

    Example: giblet extract_video --film film.mp4 --video trs/video.nc
    """
    import xarray as xr

    from giblet.alignment.stimulus_pictures import StimulusPictures
    from giblet.film.video import extract_frames, has_pictures, trs_of_pictures
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint

    clock = _clock(film, config)
    stimuli = StimulusPictures(clock) if clock else None
    attrs = {"t_r": config.t_r, "film": film.name}
    attrs["input"] = fingerprint(film, *(filter(None, dict.fromkeys(clock.files)) if clock else ()))
    if not (stimuli.shown.any() if stimuli else has_pictures(film)):
        what = "no stimulus has" if stimuli else "the film has no"
        save_arrays(xr.Dataset(attrs=attrs | {"note": f"{what} video"}), video)
        return
    size = config.video
    n_trs = clock.n_film_trs if clock else trs_of_pictures(film, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    pictures = stimuli or film
    frames, seen = extract_frames(
        pictures, config.t_r, n_trs, size.n_frames, size.height, size.width
    )
    dims = ("tr", "picture", "height", "width", "rgb")
    arrays = xr.Dataset({"video": (dims, frames), "seen": (dims[:2], seen)}, attrs=attrs)
    if size.features != "colours":
        dims = ("tr", "moment", "picture_feature")
        arrays["features"] = (dims, _picture_features(pictures, n_trs, config))
    warnings = stimuli.warnings(seen) if stimuli else _unseen(film, seen, config)
    facts = {"features": size.features, "warnings": warnings}
    save_arrays(arrays.assign_attrs(facts), video)


def _picture_features(film, n_trs: int, config: Config) -> "np.ndarray":
    """Video features of the linear models, (n_trs, n_moments, n_features) float32."""
    from giblet.film.image_features import model_features
    from giblet.film.motion_energy import motion_energy

    made = config.video
    if made.features == "motion_energy":
        return motion_energy(film, config.t_r, n_trs, made.motion_rate_hz, made.height)
    return model_features(film, config.t_r, n_trs, made.n_frames, made.features)


def _unseen(film: Path, seen: "np.ndarray", config: Config) -> list[str]:
    """Warnings of TRs without a video frame; TRs that the config leaves out do not count."""
    from giblet.audio.files import has_sound, sound_duration
    from giblet.film.video import unseen_warnings

    covered = len(seen) == config.max_trs or not has_sound(film)
    seconds = 0.0 if covered else sound_duration(film, config.audio_track)
    return unseen_warnings(seen, seconds, config.t_r)


def embed_text(
    annotations: Path,
    text: OutputFile,
    config: Config,
    film: Path | None = None,
    bold: Path | None = None,
) -> None:
    """Embed the words of each TR; without a film up to the last word.

    Of many stimuli the annotations are their table, which names a file for each.

    Example: giblet embed_text --film film.mp4 --annotations said.tsv --text trs/text.nc
    """
    import xarray as xr

    from giblet.alignment.stimulus_words import stimulus_words
    from giblet.audio.files import sound_duration
    from giblet.film.annotations import read_annotations, scan_warnings
    from giblet.film.text import count_words, embed_words, outside_warnings
    from giblet.io.arrays import open_arrays, save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.timing import whole_trs

    clock, options = _clock(annotations, config), config.words.model_dump()
    words = stimulus_words(clock, **options) if clock else read_annotations(annotations, **options)
    outside = []
    if bold and not film:
        with open_arrays(bold, "film_time") as scan:
            outside = scan_warnings(words, float(scan["film_time"].max()))
    if film:
        duration = sound_duration(film, config.audio_track)
    else:
        duration = float((words["onset"] + words["duration"]).max())
    n_trs = whole_trs(duration, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    features, spoken = embed_words(words, config.t_r, n_trs, duration, config.text_model)
    arrays = xr.Dataset({"text": (("tr", "feature"), features), "spoken": ("tr", spoken)})
    arrays["n_words"] = ("tr", count_words(words, config.t_r, n_trs))
    files = [Path(path) for path in dict.fromkeys(clock.annotations) if path] if clock else []
    attrs = {"t_r": config.t_r, "text_model": config.text_model}
    attrs["input"] = fingerprint(annotations, *files)
    if film:
        outside = outside_warnings(words, duration, config.t_r)
    attrs["warnings"] = words.attrs["warnings"] + outside
    save_arrays(arrays.assign_attrs(attrs), text)
