"""A config's scans before the run: what reading and aligning them will say, and their sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from giblet.alignment.pieces import FilmPieces
from giblet.brain.recording import Columns
from giblet.brain.runs import BoldRun
from giblet.config.config import Config

_MOST_VALUES = 2_000_000  # volumes × columns that are read and cleaned: about 4 s


def read_runs(config: Config) -> list[BoldRun]:
    """The runs of a config's scans, from headers and tables.

    GibletError as `giblet.brain.bold.read_data_set`.
    """
    from giblet.audio.stimuli import header_clock
    from giblet.brain.bold import read_data_set

    scan = config.scan
    chosen = (scan.confounds, scan.confound_strategy, scan.space, scan.raw)
    stimuli = None
    if config.has_stimuli:
        clock = header_clock(config.stimuli, config.t_r, config.events.rest_seconds)
        stimuli = replace(clock, template=config.events.stimulus)
    return read_data_set(
        Path(config.bold_source), config.task, *chosen, stimuli, scan.exclude_subjects
    )


def read_columns(runs: list[BoldRun], config: Config) -> tuple[list[BoldRun], Columns, list[str]]:
    """The ``runs`` that will be used, the columns that they share, and warnings of their readers.

    Scans of up to 2 million values are read and cleaned, as `load_bold` does; recordings that are
    quickly read are read; of others only headers, tables and masks.
    Raises GibletError as `giblet.brain.bold.load_bids`.
    """
    from giblet.brain.bold import NULL, load_scans
    from giblet.brain.recording import shared_columns
    from giblet.brain.screening import few_degrees, survey

    source, scan = Path(config.bold_source), config.scan
    columns: Columns
    of_null = [NULL] * scan.null
    is_small = _n_values(runs) <= _MOST_VALUES
    if is_small or all(run.recording.is_quick for run in runs):
        scans = survey(runs, source, scan.parcellation)
        warnings = scans.warnings
        if is_small:
            warnings = load_scans(scans, scan.high_pass_hz).attrs["warnings"]
        return scans.runs, scans.columns, [*of_null, *warnings, *_mesh(scans.columns, scan.mesh)]
    columns = shared = shared_columns([run.recording for run in runs], source)
    if scan.parcellation is not None:
        columns = shared.parcels(scan.parcellation)
    of_runs = [warning for run in runs for warning in [*run.warnings, *few_degrees(run)]]
    warnings = [*of_null, *_constant(runs, source), *of_runs, *columns.warnings]
    return runs, columns, [*warnings, *_mesh(columns, scan.mesh)]


def _mesh(columns: Columns, mesh: str | None) -> list[str]:
    """A warning of scans on a surface without a mesh; GibletError for one that does not fit."""
    from giblet.brain.surface_meshes import scan_mesh
    from giblet.report.surface_maps import why_no_mesh

    space = columns.coordinates()
    stored = scan_mesh(space, mesh)
    why = why_no_mesh(space.assign(stored.data_vars).assign_attrs(stored.attrs))
    return [why] if why else []


def _n_values(runs: list[BoldRun]) -> int:
    """Volumes × columns of all recordings; of images, × voxels of their grids."""
    return sum(run.recording.n_volumes * run.recording.n_columns for run in runs)


def _constant(runs: list[BoldRun], source: Path) -> list[str]:
    """Warnings of subjects that will be left out, as far as their recordings are quickly read.

    GibletError if nobody is left.
    """
    from giblet.brain.screening import CONSTANT, constant_subjects, varying_columns

    varies = [
        not run.recording.is_quick
        or bool(varying_columns(run, run.recording.shared_columns([run.recording]))[0].any())
        for run in runs
    ]
    return [CONSTANT.format(name) for name in constant_subjects(runs, varies, source)]


def check_region(columns: Columns, config: Config) -> None:
    """GibletError where ``columns`` have no ``decoding.region``, or it cannot be read."""
    from giblet.alignment.voxels import chosen_region
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError

    name, file = config.decoding.region, config.lesion.regions
    if name is None:
        return
    if file == "auto":
        raise GibletError('decoding.region needs a label image, or "parcels", as lesion.regions')
    regions = find_regions(columns.coordinates(), None if file == "parcels" else file)
    chosen_region(name, regions)


def check_clock(
    runs: list[BoldRun], config: Config, film_seconds: float | None, lines: list[str]
) -> list[str]:
    """Warnings of how the volumes of ``runs`` match the film's TRs and are split into parts.

    ``film_seconds`` is the film's length, None where it is not known. To ``lines`` are added the
    seconds of film that each run showed, the labels of runs as ``splits.test_runs`` names them,
    and how much film each result needs. Raises GibletError as
    `giblet.alignment.sync.match_scans` and, with a film, `giblet.alignment.dataset.split_film`.
    """
    from giblet.alignment.aligned import split_match
    from giblet.alignment.dataset import gap_warnings
    from giblet.alignment.pieces import check_pieces, held_out_pieces
    from giblet.alignment.regressors import reach_warnings
    from giblet.alignment.showings import clock_of, volume_trs
    from giblet.alignment.stimulus_folds import same_music_warnings
    from giblet.alignment.sync import match_scans, move_runs, unscanned_warnings
    from giblet.audio.model_features import known_reach_seconds
    from giblet.evaluation.encoding_folds import ridge_folds
    from giblet.evaluation.needed_film import StimulusParts
    from giblet.evaluation.quality import after_film_warnings
    from giblet.timing import trs_for, whole_trs

    t_r = config.t_r
    runs = move_runs(runs, config.scan.lag_seconds)
    scanned = max(float(run.film_time.max()) for run in runs) + t_r
    n_trs = whole_trs(film_seconds, t_r) if film_seconds else trs_for(scanned, t_r)
    n_trs = max(1, min(n_trs, config.max_trs or n_trs))
    if not config.has_stimuli:
        lines += shown_lines(runs, t_r)
    scans = clock_of(runs, t_r)
    for name in ("average_repeats", "carry_over"):
        scans.attrs[name] = int(getattr(config.events, name))
    match = match_scans(scans.assign_attrs(t_r=runs[0].t_r), t_r, n_trs)
    labels = list(dict.fromkeys(match.runs.tolist()))
    if len(labels) > 1:
        lines.append(f"runs: {', '.join(labels[:12])}{', …' * (len(labels) > 12)}")
    pieces = _pieces(config, n_trs) if film_seconds else None
    held_out = held_out_pieces(pieces, match.trs, config.splits) if film_seconds else None
    music = _music(config) if match.stimulus is not None else None
    folds, of_ridge = ridge_folds(match, scans, t_r, config.splits.folds, music)
    stimuli = None
    if match.stimulus is not None:
        together = np.concatenate([[0], np.cumsum(np.diff(match.trs) != 1)])
        stimuli = StimulusParts(_parts(scans, match, config), together, bool(folds))
    lines += need_lines(config, match.runs, held_out, stimuli)
    warnings = match.warnings + of_ridge
    if film_seconds:
        part = split_match(scans, match, t_r, config.splits, pieces=pieces, lines=warnings)
        warnings += check_pieces(pieces, match.trs, part, config.splits)
        if match.stimulus is not None:
            names = scans["stimulus"].values.astype(str).tolist()
            warnings += same_music_warnings(match.stimulus, part, names, music)
        for fold in range(1, config.splits.folds + 1) if config.splits.folds > 1 else ():
            split_match(scans, match, t_r, config.splits, fold, pieces, music)  # or raises
        warnings += unscanned_warnings(match, n_trs) + gap_warnings(config.splits)
        n_scanned = int(volume_trs(scans, t_r).max()) + 1
    reach = None
    if film_seconds and "sound_model" in config.space_sets:
        own = config.sound_model
        reach = known_reach_seconds(own.name, own.step_seconds, own.context_seconds)
    if film_seconds and not config.has_stimuli:
        warnings += reach_warnings(reach, config.splits) if reach is not None else []
        warnings += after_film_warnings(n_scanned, n_trs, config.max_trs)
        warnings += beyond_film_warnings(runs, film_seconds, Path(config.film).name)
    return warnings


def _music(config: Config) -> np.ndarray | None:
    """Equal numbers of stimuli of one score (n_stimuli,); None where scores are not used."""
    from giblet.audio.stimuli import header_clock
    from giblet.music.pieces import Pieces
    from giblet.music.stimulus_scores import join_scores, same_music, scores_apart

    if config.score == "none":
        return None
    clock = header_clock(config.stimuli, config.t_r)
    if not any(clock.scores):
        return None
    pieces = Pieces.of_clock(clock, config.score_offset)
    return same_music(scores_apart(join_scores(pieces), pieces), pieces)


def _parts(scans, match, config: Config) -> np.ndarray | None:
    """The part of each TR (n_trs,) str; None where there cannot be any."""
    from giblet.alignment.aligned import split_match
    from giblet.errors import GibletError

    try:
        return split_match(scans, match, config.t_r, config.splits)
    except GibletError:
        return None


def film_parts(config: Config, n_trs: int, has_scans: bool, lines: list[str]) -> np.ndarray:
    """The part of each TR of a film (n_trs,) str, assuming that all of it was scanned.

    Without real scans, whole pieces are held out here; with scans, `check_clock` does that. Adds a
    warning to ``lines`` for pieces that are in both train and test. Raises GibletError as
    `giblet.alignment.pieces.held_out_pieces` and `giblet.alignment.dataset.split_film`.
    """
    from giblet.alignment.dataset import split_film
    from giblet.alignment.pieces import check_pieces, held_out_pieces

    splits, trs = config.splits, np.arange(n_trs)
    if config.bold_source not in ("none", "simulated"):
        return split_film(n_trs, config.t_r, splits, has_scans)
    pieces = _pieces(config, n_trs)
    held_out = held_out_pieces(pieces, trs, splits)
    parts = split_film(n_trs, config.t_r, splits, has_scans, held_out=held_out)
    lines += [f"    WARNING: {line}" for line in check_pieces(pieces, trs, parts, splits)]
    for fold in range(1, splits.folds + 1) if splits.folds > 1 else ():
        held_out_pieces(pieces, trs, splits, fold)  # raises where it cannot
    return parts


def _pieces(config: Config, n_trs: int) -> FilmPieces | None:
    """Of a film of ``n_trs``, where its score is a table; GibletError for one that is none."""
    from giblet.commands.held_out_music import film_pieces
    from giblet.music.pieces import is_table_of_scores, read_pieces
    from giblet.music.stimulus_scores import join_scores, same_music, scores_apart

    if config.has_stimuli or not is_table_of_scores(config.score):
        return None
    pieces = read_pieces(config.score, config.score_offset)
    music = same_music(scores_apart(join_scores(pieces), pieces), pieces)
    return film_pieces(replace(pieces, music=music), n_trs, config.t_r)


def beyond_film_warnings(runs: list[BoldRun], film_seconds: float, name: str) -> list[str]:
    """A warning where events show the film ``name`` more than two TRs beyond its end.

    Runs without a duration are taken to show it to the end of the scan, and are not compared.
    """
    from giblet.alignment.showings import clock_of, shown_seconds
    from giblet.timing import acquisition_times

    t_r, stated = runs[0].t_r, [run for run in runs if not run.end_is_assumed]
    end = float(shown_seconds(clock_of(stated, t_r), t_r)["end"].max()) if stated else 0.0
    if end - film_seconds <= acquisition_times(3, t_r)[-1]:
        return []
    return [
        f"events show the film to {end:.1f} s, but {name} has {film_seconds:.1f} s: another cut of "
        "the film? Check film, and onset, duration and stim_onset of the events"
    ]


_MOST_ROWS = 40


def shown_lines(runs: list[BoldRun], t_r: float) -> list[str]:
    """The seconds of film that each run showed, as lines of a table; by headers and tables."""
    from giblet.alignment.showings import clock_of, shown_by_run, shown_seconds

    shown = shown_by_run(shown_seconds(clock_of(runs, t_r), t_r))
    lines = ["film that each run showed", f"    {'seconds':>17}{'volumes':>9}  run"]
    for row in shown.head(_MOST_ROWS).itertuples():
        seconds = f"{row.begin:.1f} to {row.end:.1f}"
        lines.append(f"    {seconds:>17}{row.n_volumes:>9}  {row.run}, {row.subjects}")
    if len(shown) > _MOST_ROWS:
        lines.append(f"    … and {len(shown) - _MOST_ROWS} more")
    assumed = [run for run in runs if run.begin_is_assumed]
    if assumed:
        which = "every run" if len(assumed) == len(runs) else f"{len(assumed)} of {len(runs)} runs"
        lines.append(f"    ASSUMED for {which} (no stim_onset): the film began at its second 0")
    return lines


def need_lines(
    config: Config,
    matched: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    stimuli=None,
) -> list[str]:
    """How much film each result needs, as lines of a table; ``matched``: the run of each TR.

    ``held_out`` and ``stimuli``: as of `giblet.evaluation.needed_film.film_needs`.
    """
    from giblet.evaluation.needed_film import film_needs

    lines = ["film that each result needs, scanned in everyone"]
    for need in film_needs(config, matched, held_out, stimuli):
        needed = "by part" if need.seconds is None else f"{need.seconds:.0f} s"
        enough = "there are" if need.is_met else "WILL BE MISSING: there are"
        lines.append(f"    {need.result:<31}{needed:>7}  {enough} {need.has}")
    return lines
