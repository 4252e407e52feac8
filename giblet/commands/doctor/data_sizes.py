"""Sizes of a config's film and scans, and problems with them.

Sizes are those of headers. Of sound and video a few seconds are read, words and tables whole.
"""

import os
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.io.paths import check_date
from giblet.report.run_messages import is_note, shortened

_LONGEST_FILM = 24 * 3600  # s
_LONGEST_OPENING = 3.0  # s
NO_FILM = "NO FILM: {}. Without it no sound is encoded, decoded or heard: text and scans alone"


@dataclass(frozen=True)
class Sizes:
    """Of one config. ``values``: BOLD of all runs, millions. ``n_columns``: voxels or parcels."""

    n_trs: int
    minutes: float
    film_mb: float = 0.0
    n_train: int = 0
    n_test: int = 0
    test_seconds: float = 0.0
    picture_mb: float = 0.0
    mel_mb: float = 0.0
    n_subjects: int = 0
    n_columns: int = 0
    values: float = 0.0
    has_words: bool = False
    has_score: bool = False

    @property
    def bold_mb(self) -> float:
        """All BOLD, float32."""
        return 4 * self.values

    @property
    def regressors_mb(self) -> float:
        """Of one modality."""
        return 0.4 * self.minutes

    @property
    def text_mb(self) -> float:
        return 0.005 * self.n_trs

    @property
    def score_mb(self) -> float:
        """Piano roll and features in TRs."""
        return 0.2 * self.minutes

    def sound_mb(self, path: str) -> float:
        """Features of the sound, of the feature type ``path``."""
        return 0.15 * self.minutes if path == "encodec" else self.mel_mb

    def n_kept(self, max_voxels: int | None) -> int:
        """Columns that ridge, model and decoder see."""
        from giblet.alignment.voxels import n_kept

        return n_kept(self.n_columns, self.n_subjects, max_voxels)


def measure(config: Config) -> tuple[Sizes | None, list[str], list[str]]:
    """Sizes (None where there is nothing to measure), lines about the data, and problems."""
    from giblet.stats.array_backend import check_backend

    lines, problems = [], []
    film = _noting(problems, _film_seconds, config, lines)
    scans = _noting(problems, _scans, config, lines, film, problems) or {}
    _noting(problems, _annotations, config, lines, film, scans.get("seconds"))
    _noting(problems, _score, config, lines, film)
    _noting(problems, _codec, config, lines)
    _noting(problems, check_backend, config.ridge_backend)
    named = (config.film, config.annotations, config.score, config.bold_source)
    for path in filter(os.path.exists, named):
        _noting(problems, check_date, path)
    seconds = film if config.has_film else scans.get("seconds")
    if seconds is None:
        return None, lines, problems
    scans = {key: n for key, n in scans.items() if key != "seconds"}
    sizes = _noting(problems, _sizes, config, seconds, scans, lines)
    return sizes, lines, problems


def _noting(problems: list[str], function, *arguments):
    """The result of the function, or None and one more problem, where it is a new one."""
    try:
        return function(*arguments)
    except GibletError as error:
        if str(error) not in problems:
            problems.append(str(error))
        return None


def _film_seconds(config: Config, lines: list[str]) -> float | None:
    """Seconds by the header alone; None where it has none, or without a film.

    Lines have warnings of the film's beginning. GibletError where a run could not read that.
    """
    from giblet.commands.doctor.film_check import reading_warnings
    from giblet.film.container import (
        OutOfTime,
        film_start,
        header_seconds,
        open_film,
        time_limit,
    )
    from giblet.film.tracks import choose_tracks, sound_tracks, track_text
    from giblet.film.video import stamps_advice
    from giblet.music.midi import read_midi
    from giblet.music.synth import sound_seconds

    if not config.has_film:
        lines.append(NO_FILM.format("film is none; set it to a film or an audio file"))
        return None
    if config.has_stimuli:
        return _stimuli_seconds(config, lines)
    path = _film(config)
    if config.is_music_demo:
        seconds = sound_seconds(read_midi(path))
        lines.append(f"film: {path}, {seconds:.0f} s, from which render_music makes the sound")
        return seconds
    try:
        with time_limit(_LONGEST_OPENING), open_film(path) as film:
            seconds = header_seconds(film, path)
            tracks = sound_tracks(film)
            chosen = choose_tracks(film, config.audio_track, path)
            starts = [s.start_time * s.time_base for s in film.streams if s.start_time]
            starts_late = max(starts, default=0) - film_start(film) > _LONGEST_FILM
    except OutOfTime:
        raise GibletError(
            f"{path}: FFmpeg searches it for more than {_LONGEST_OPENING:g} s. Is its download "
            "complete? Files that wait for their content are full of zeros"
        ) from None
    if seconds > _LONGEST_FILM:
        raise GibletError(
            f"{path}: its header gives {seconds / 3600:.4g} hours. Is a track stamped by the time "
            f"of day? {stamps_advice(path, starts_late)}"
        )
    length = f"{seconds:.0f} s" if seconds else "whose header has no length: no estimates"
    lines.append(f"film: {path}, {length}; sound track {track_text(chosen, tracks)}")
    lines += map(_warned, reading_warnings(path, config.audio_track))
    return seconds or None


def _stimuli_seconds(config: Config, lines: list[str]) -> float:
    """Seconds of the film of all stimuli, by the headers of their files."""
    from giblet.audio.stimuli import header_clock

    clock = header_clock(config.stimuli, config.t_r, config.events.rest_seconds)
    shortest, longest = clock.durations.min(), clock.durations.max()
    lines.append(
        f"stimuli: {config.stimuli}, {len(clock.names)} of {shortest:.4g} to {longest:.4g} s"
    )
    return clock.at(clock.n_film_trs)


def _sound_mb(config: Config, seconds: float) -> float:
    """Size of the files of the film, or of the stimuli."""
    from giblet.audio.stimuli import list_stimuli
    from giblet.music.synth import SAMPLE_RATE
    from giblet.timing import count_samples

    if config.is_music_demo:
        return 2 * count_samples(seconds, SAMPLE_RATE) / 1e6  # of 16 bit, not rendered yet
    files = [_film(config)]
    if config.has_stimuli:
        files = list(dict.fromkeys(s.file for s in list_stimuli(config.stimuli)))
    return sum(file.stat().st_size for file in files) / 1e6


def _film(config: Config) -> Path:
    """Its file; of the music demo the score, which is there before its sound."""
    from giblet.demo import film_path, music_path

    if config.is_music_demo:
        return music_path()
    return film_path() if config.is_demo else Path(config.film)


def _annotations(
    config: Config, lines: list[str], film_seconds: float | None, scan_seconds: float | None
) -> None:
    """GibletError where they do not fit into the film, or without one to the scans."""
    from giblet.alignment.stimulus_words import stimulus_words
    from giblet.audio.stimuli import header_clock
    from giblet.demo import annotations_path
    from giblet.film.annotations import read_annotations, scan_warnings
    from giblet.film.text import NO_WORDS, outside_warnings

    if not _has_words(config):
        lines.append(f"words: {NO_WORDS}")
        return
    options = config.words.model_dump()
    if config.has_stimuli:
        clock = header_clock(config.stimuli, config.t_r, config.events.rest_seconds)
        words = stimulus_words(clock, **options)
    else:
        named = config.annotations
        path = annotations_path() if named == "auto" else Path(named)
        words = read_annotations(path, **options)
    end = (words["onset"] + words["duration"]).max()
    lines.append(f"words: {len(words)} rows from {words['onset'].min():.1f} to {end:.1f} s")
    lines += map(_warned, words.attrs["warnings"])
    if film_seconds is not None:
        lines += map(_warned, outside_warnings(words, film_seconds, config.t_r))
    elif not config.has_film and scan_seconds is not None:
        lines += map(_warned, scan_warnings(words, scan_seconds))


def _has_words(config: Config) -> bool:
    """Whether there are words; of stimuli, beside any of them."""
    from giblet.audio.stimuli import list_stimuli

    if not (config.has_annotations and config.has_stimuli):
        return config.has_annotations
    return any(stimulus.annotations for stimulus in list_stimuli(config.stimuli))


def score_path(config: Config) -> Path | None:
    """The file that ``score`` names, or that lies beside the film, or beside a first stimulus."""
    from giblet.audio.stimuli import list_stimuli
    from giblet.music.score_files import find_score

    if config.has_stimuli:
        if config.score == "none":
            return None
        scores = (stimulus.score for stimulus in list_stimuli(config.stimuli))
        return next((path for path in scores if path), None)
    return find_score(_film(config), config.score) if config.has_film else None


def _score(config: Config, lines: list[str], film_seconds: float | None) -> None:
    """GibletError for what is no score, and without a film."""
    from giblet.audio.stimuli import header_clock
    from giblet.music.pieces import Pieces, is_table_of_scores, read_pieces
    from giblet.music.score_files import read_score
    from giblet.music.score_sync import length_warnings
    from giblet.music.stimulus_scores import early_ends, join_scores

    if not config.has_film and config.score not in ("none", "auto"):
        raise GibletError("score: it needs a film, whose sound it is compared with")
    if (path := score_path(config)) is None:
        which = "any stimulus" if config.has_stimuli else "the film"
        lines += [f"score: none lies beside {which}"] * (config.score == "auto")
        return
    if config.has_stimuli:
        clock = header_clock(config.stimuli, config.t_r)
        pieces = Pieces.of_clock(clock, config.score_offset)
        notes = join_scores(pieces)
        n_with = sum(map(bool, clock.scores))
        lines.append(f"score: of {n_with} of {len(clock.names)} stimuli, {len(notes)} notes")
        end = clock.at(clock.n_film_trs)
        lines += map(_warned, [*notes.warnings, *early_ends(notes, end, pieces)])
        return
    offset, several = config.score_offset, is_table_of_scores(path)
    if several:
        pieces, offset = read_pieces(path, offset), 0.0
        lines.append(f"score: of {len(pieces.names)} pieces")
    notes = join_scores(pieces) if several else read_score(path)
    first, last = notes.onset[0] + offset, notes.end + offset
    lines.append(f"score: {path}, {len(notes)} notes from {first:.1f} to {last:.1f} s")
    lines += map(_warned, notes.warnings)
    if film_seconds is not None:
        lines += map(_warned, length_warnings(notes, film_seconds, offset))
        of_several = pieces if several else None
        lines += map(_warned, early_ends(notes.moved(offset), film_seconds, of_several))


def _warned(message: str) -> str:
    return f"    {'note' if is_note(message) else 'WARNING'}: {message}"


def _codec(config: Config, lines: list[str]) -> None:
    """A codec of the hub whose commit is named may be fetched: no problem, but one line."""
    from giblet.io.hub import COMMIT, local_folder

    name = config.codec
    if not config.use_encodec or name == "bundled" or Path(name).is_dir():
        return
    repo, _, commit = name.partition("@")
    if local_folder(name) is None:
        if repo.count("/") != 1 or repo.startswith((".", "/")) or not COMMIT.fullmatch(commit):
            raise GibletError(
                f"codec {name}: no such folder, not in the Hugging Face cache, and no commit of a "
                'hub (owner/name@ and 40 digits). Give one of these, or "bundled"'
            )
        lines.append(f"codec: {name} is not in the Hugging Face cache; it will be fetched")


def _scans(
    config: Config, lines: list[str], film_seconds: float | None, problems: list[str]
) -> dict | None:
    """Sizes of the scans, from headers and tables; without a film ``seconds`` is theirs."""
    from giblet.alignment.sync import check_scan_t_r
    from giblet.alignment.voxels import n_kept
    from giblet.commands.doctor.scan_checks import (
        check_clock,
        check_region,
        read_columns,
        read_runs,
    )
    from giblet.timing import whole_trs

    if config.has_stimuli and config.bold_source == "none":
        raise GibletError("stimuli need scans as bold: their events say what was presented when")
    if config.bold_source == "none":
        lines.append("scans: none were given (bold): no BOLD is predicted or decoded")
        return None
    if config.bold_source == "simulated":
        if not config.has_film:
            raise GibletError("simulated brains watch a film: film is none")
        n_runs = 3 if config.is_music_demo else 2
        n_volumes = whole_trs(film_seconds or 0, config.t_r) + 10 * n_runs  # before and after each
        lines.append(f"scans: SIMULATED, 4 subjects, {n_runs} runs of each, 3,666 voxels")
        values = n_volumes * 3666 / 1e6
        return {"n_subjects": 4, "n_columns": 3666, "values": 4 * values}
    runs = read_runs(config)
    read = _noting(problems, read_columns, runs, config)
    used, columns, warnings = read or (runs, [], [])
    n_columns, n_volumes = len(columns), sum(run.n_volumes for run in used)
    subjects = {run.subject for run in used}
    lines.append(
        f"scans: {len(subjects)} subjects, {len(used)} runs, {n_volumes} volumes"
        + f" of {n_columns:,} voxels or parcels" * (read is not None)
        + f", TR {runs[0].t_r:g} s"
    )
    of_runs = chain.from_iterable(run.warnings for run in used)
    lines += map(_warned, shortened([*warnings, *of_runs]))
    check_scan_t_r(runs[0].t_r, config.t_r)
    lines += map(_warned, check_clock(used, config, film_seconds, lines))
    if read is None:
        return None
    if config.has_film:
        kept = n_kept(n_columns, len(subjects), config.max_voxels)
        if kept < n_columns:
            lines.append(
                f"voxels: {kept:,} of {n_columns:,} are used, those of highest ISC in training "
                "TRs (max_voxels)"
            )
        _noting(problems, check_region, columns, config)
    return {
        "n_subjects": len(subjects),
        "n_columns": n_columns,
        "values": n_volumes * n_columns / 1e6,
        "seconds": max(float(run.film_time.max()) for run in used),
    }


def _sizes(config: Config, seconds: float, scans: dict, lines: list[str]) -> Sizes:
    """GibletError where the film cannot be split into parts."""
    from giblet.commands.doctor.scan_checks import film_parts
    from giblet.timing import acquisition_times, whole_trs

    if seconds > _LONGEST_FILM:
        raise GibletError(
            f"the scans reach to {seconds / 3600:.4g} hours of film. Are onsets times of day, "
            "or in milliseconds? Give seconds"
        )
    n_trs = whole_trs(seconds, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    minutes = float(acquisition_times(n_trs + 1, config.t_r)[-1]) / 60
    if not config.has_film:
        return Sizes(n_trs, minutes, has_words=config.has_annotations, **scans)
    if n_trs < 1:
        raise GibletError(f"{seconds:.2f} s of film is shorter than one TR ({config.t_r} s)")
    splits, is_scanned = config.splits, config.bold_source not in ("none", "simulated")
    by_name = splits.test_runs or (splits.test_pieces and is_scanned)
    if by_name or config.has_stimuli:  # their TRs are not known yet
        n_train, n_test = n_trs, round(splits.test * n_trs)
    else:
        parts = film_parts(config, n_trs, bool(scans), lines)
        n_train, n_test = int((parts == "train").sum()), int((parts == "test").sum())
    video = config.video
    frames_mb = n_trs * video.n_frames * video.height * video.width * 3 / 1e6
    return Sizes(
        n_trs,
        minutes,
        _sound_mb(config, seconds),
        n_train,
        n_test,
        test_seconds=float(acquisition_times(n_test + 1, config.t_r)[-1]),
        picture_mb=frames_mb,
        mel_mb=2.9 * minutes * config.mel.n_mels / 128,
        has_words=_has_words(config),
        has_score=score_path(config) is not None,
        **scans,
    )
