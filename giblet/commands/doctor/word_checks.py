"""Words and scores before the run: what reading them will say, and whether they fit the film."""

from pathlib import Path

from giblet.commands.doctor.film_check import film_file, warned
from giblet.config.config import Config
from giblet.errors import GibletError


def check_words(
    config: Config, lines: list[str], film_seconds: float | None, scan_seconds: float | None
) -> None:
    """GibletError where they do not fit into the film, or without one to the scans."""
    from giblet.alignment.stimulus_words import stimulus_words
    from giblet.audio.stimuli import header_clock
    from giblet.demo import annotations_path
    from giblet.film.annotations import read_annotations, scan_warnings
    from giblet.film.text import NO_WORDS, outside_warnings

    if not has_words(config):
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
    lines += map(warned, words.attrs["warnings"])
    if film_seconds is not None:
        lines += map(warned, outside_warnings(words, film_seconds, config.t_r))
    elif not config.has_film and scan_seconds is not None:
        lines += map(warned, scan_warnings(words, scan_seconds))


def has_words(config: Config) -> bool:
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
    return find_score(film_file(config), config.score) if config.has_film else None


def check_score(config: Config, lines: list[str], film_seconds: float | None) -> None:
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
        lines += map(warned, [*notes.warnings, *early_ends(notes, end, pieces)])
        return
    offset, several = config.score_offset, is_table_of_scores(path)
    if several:
        pieces, offset = read_pieces(path, offset), 0.0
        lines.append(f"score: of {len(pieces.names)} pieces")
    notes = join_scores(pieces) if several else read_score(path)
    first, last = notes.onset[0] + offset, notes.end + offset
    lines.append(f"score: {path}, {len(notes)} notes from {first:.1f} to {last:.1f} s")
    lines += map(warned, notes.warnings)
    if film_seconds is not None:
        lines += map(warned, length_warnings(notes, film_seconds, offset))
        of_several = pieces if several else None
        lines += map(warned, early_ends(notes.moved(offset), film_seconds, of_several))
