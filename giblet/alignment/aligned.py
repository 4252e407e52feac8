"""The aligned array set: film, words and scans on the film's TRs, and the same as tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from giblet.alignment.dataset import (
    FilmData,
    check_gap,
    check_no_overlap,
    gap_trs,
    gap_warnings,
    split_film,
    zscore_bold,
)
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.pieces import FilmPieces, check_pieces, held_out_pieces
from giblet.alignment.presented import Presentations, presentation_arrays
from giblet.alignment.shapes import Shapes
from giblet.alignment.stimuli import split_stimuli
from giblet.alignment.stimulus_folds import same_music_warnings
from giblet.alignment.sync import Match, match_scans, unscanned_warnings
from giblet.alignment.voxels import read_columns, voxels_to_keep
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.files import read_sound
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES, beside_sound
from giblet.film.text import NO_WORDS
from giblet.film.tracks import chosen_track
from giblet.io.checksums import fingerprint
from giblet.log import warnings_of
from giblet.stats.ridge import scale_by_training


def align(
    film: list[xr.Dataset],
    scans: xr.Dataset | None,
    regressors: list[xr.Dataset],
    t_r: float,
    splits: SplitConfig,
    max_voxels: int | None = None,
    fold: int | None = None,
    pieces: FilmPieces | None = None,
    music: np.ndarray | None = None,
) -> xr.Dataset:
    """Put everything on the film's TRs, cropped to what all of it covers.

    Parameters
    ----------
    film
        ``audio`` first, then the other modalities, each along ``tr`` from the film's first TR on.
    scans
        As ``giblet.brain.load_bids`` gives them, or ``giblet.io.arrays.open_arrays``: ``bold`` is
        read in blocks of voxels; or None.
    regressors
        ``regressors`` (volume, feature) for ``scans``, one array set a modality; none without a
        film's sound.
    max_voxels
        Of more, those of highest ISC (``giblet.alignment.voxels.voxels_to_keep``).
    fold
        The parts are those of this fold, from 1 to ``splits.folds``.
    pieces
        Of the film's music, where its score is a table of several.
    music
        Of many stimuli, (n_stimuli,) int: equal where they share seconds of a score, or have the
        same notes (``giblet.music.stimulus_scores.same_music``). They are in one fold; without
        ``fold`` they give a warning where they train and are tested.

    Returns
    -------
    The modalities along ``tr`` (the TR's number in the film), ``part`` and ``run`` (tr). With scans
    also ``bold`` (subject, tr, voxel), ``column`` (voxel), its column in ``scans``, ``regressors``
    (subject, tr, regressor) and ``band`` (regressor), which array set each is of; attribute
    ``n_columns``: columns of ``scans``.
    Where a run has several showings of the film (a pause, a leap) ``showing`` (tr) numbers them.
    Of many stimuli ``stimulus`` (tr) names the one of each TR; its neighbours in the arrays are no
    neighbours in time, and ``gap_trs`` is 0: the gap lies between parts of a run. ``volumes``
    (subject, repeat, tr) are those of each presentation (`presentation_arrays`). Of a film with
    several pieces ``piece`` (tr) names that of each TR.
    ``warnings`` in the attributes lists what was left out.
    """
    present = [arrays for arrays in film if arrays.data_vars]
    n_trs = min(arrays.sizes["tr"] for arrays in present)
    warnings = [warning for arrays in present for warning in warnings_of(arrays.attrs)]
    warnings += [
        f"{', '.join(map(str, arrays.data_vars))}: {arrays.sizes['tr'] - n_trs} TRs at the end "
        "left out, where another part of the film has ended"
        for arrays in present
        if arrays.sizes["tr"] > n_trs
    ]
    warnings += [] if any("text" in arrays for arrays in present) else [NO_WORDS]
    merged = xr.merge([a.isel(tr=slice(n_trs)).drop_attrs(deep=False) for a in present])
    merged = merged.assign_coords(tr=np.arange(n_trs)).assign_attrs(present[0].attrs)
    if scans is None:
        trs = np.arange(n_trs)
        held_out = held_out_pieces(pieces, trs, splits, fold)
        part = split_film(n_trs, t_r, splits, False, None, fold, held_out)
        merged = merged.assign(part=("tr", part), run=("tr", np.full(n_trs, "none")))
    else:
        match = match_scans(scans, t_r, n_trs)
        options = (splits, fold, pieces, music, warnings)
        trs, part = match.trs, split_match(scans, match, t_r, *options)
        merged = merged.isel(tr=match.trs).assign(part=("tr", part), run=("tr", match.runs))
        if (np.diff(match.showings) != 0)[match.runs[1:] == match.runs[:-1]].any():
            merged = merged.assign(showing=("tr", match.showings))
        if match.stimulus is not None:
            names = scans["stimulus"].values.astype(str)[match.stimulus]
            merged = merged.assign_coords(stimulus=("tr", names))
            presented, coords, attrs = presentation_arrays(scans, match, splits.gap_seconds, music)
            merged = merged.assign(presented).assign_coords(coords).assign_attrs(attrs)
            everyone = scans["stimulus"].values.astype(str).tolist()
            warnings += same_music_warnings(match.stimulus, part, everyone, music)
        warnings += match.warnings
        kept = voxels_to_keep(scans, match, part == "train", max_voxels)
        merged = _add_scans(merged, scans, match, kept, regressors)
        merged.attrs["n_columns"] = scans["bold"].shape[1]
        warnings += warnings_of(scans.attrs)
        warnings += gap_warnings(splits) + unscanned_warnings(match, n_trs)
    if pieces is not None:
        merged = merged.assign_coords(piece=("tr", np.array(pieces.names)[pieces.of_trs[trs]]))
        warnings += check_pieces(pieces, trs, part, splits)
    for modality in beside_sound():  # a cover picture, a film in which nobody speaks
        if modality in merged and not merged[modality].values[part == "train"].std(axis=0).any():
            merged = merged.drop_vars(modality)
            warnings.append(f"{modality}: left out, it never changes in the training TRs")
    gap = 0 if "stimulus" in merged.coords else gap_trs(splits, t_r, scans is not None)
    return merged.assign_attrs(warnings=warnings, gap_trs=gap)


def split_match(
    scans: xr.Dataset,
    match: Match,
    t_r: float,
    splits: SplitConfig,
    fold: int | None = None,
    pieces: FilmPieces | None = None,
    music: np.ndarray | None = None,
    lines: list[str] | None = None,
) -> np.ndarray:
    """The part of each TR of ``match`` (n_trs,) str, by `split_stimuli` of many stimuli.

    ``lines`` get its warnings.

    Silence after a stimulus (`StimulusClock.rest`) is in the gap: lags reach its BOLD, but nothing
    is trained or scored there.
    """
    clock = StimulusClock.of_scans(scans)
    if clock is None or match.stimulus is None or match.repeats is None:
        held_out = held_out_pieces(pieces, match.trs, splits, fold)
        return split_film(len(match.trs), t_r, splits, True, match.runs, fold, held_out)
    sounds = np.flatnonzero(clock.stimulus_of_trs(int(match.trs.max()) + 1)[match.trs] >= 0)
    part = np.full(len(match.trs), "gap", dtype="<U10")
    own = (scans, match.repeats[:, :, sounds], match.stimulus[sounds], clock)
    part[sounds] = split_stimuli(*own, splits, match.is_mean, fold, music, lines)
    return part


def _add_scans(
    merged: xr.Dataset,
    scans: xr.Dataset,
    match: Match,
    kept: np.ndarray,
    regressors: list[xr.Dataset],
) -> xr.Dataset:
    """``merged`` with each TR's volume of each subject, and the regressors at that moment."""
    if any(r.sizes["volume"] != scans.sizes["volume"] for r in regressors if r.data_vars):
        raise GibletError("regressors and scans have other numbers of volumes; make both again")
    is_train = merged["part"].values == "train"
    bold = read_columns(scans, match, kept, is_train)  # (n_subjects, n_trs, n_kept)
    space = scans["bold"].dims[1]
    places = {k: ("voxel", c.values[kept]) for k, c in scans.coords.items() if c.dims == (space,)}
    blurred = [match.take(r["regressors"].values) for r in regressors if r.data_vars]
    band = np.repeat(np.arange(len(blurred)), [one.shape[-1] for one in blurred])
    coords = {"subject": match.subjects, "band": ("regressor", band), "column": ("voxel", kept)}
    arrays = {"bold": (("subject", "tr", "voxel"), bold)}
    if blurred:
        of_film = np.concatenate(blurred, axis=-1)
        arrays["regressors"] = (("subject", "tr", "regressor"), of_film)
    return (
        merged.assign(arrays)
        .assign_coords(coords | places)
        .assign_attrs(volume_offset=match.offset, bold_source=scans.attrs["source"])
    )


def film_data(aligned: xr.Dataset, blurred: bool = False) -> FilmData:
    """The aligned array set as tensors, BOLD z-scored on training TRs; parts are checked for
    overlap.

    ``blurred`` adds the film as the HRF blurs it (n_trs, n_regressors): the subjects' mean
    regressors, scaled by training TRs.
    """
    import torch

    film = {
        modality: torch.from_numpy(np.ascontiguousarray(aligned[modality].values))
        for modality in MODALITIES
        if modality in aligned
    }
    part, run = aligned["part"].values.astype(str), aligned["run"].values.astype(str)
    gap = int(aligned.attrs.get("gap_trs", 1))
    check_gap(gap, "stimulus" in aligned.coords)
    check_no_overlap(FilmData(film, None, part, run, gap_trs=gap))
    if "bold" not in aligned:
        return FilmData(film, None, part, run, gap_trs=gap)
    bold = aligned["bold"].values
    if np.isnan(bold).any():
        raise GibletError(f"BOLD has NaN in {np.isnan(bold).any(axis=(0, 1)).sum()} voxels")
    bold, has_signal = zscore_bold(bold, run, part == "train")
    if not has_signal.any():
        raise GibletError(
            "no voxel or parcel varies in the training TRs of every run and subject: look at the "
            "scans and the run of each TR"
        )
    if blurred:
        regressors = aligned["regressors"].mean("subject").values
        film["blurred"] = torch.from_numpy(
            scale_by_training(regressors, np.flatnonzero(part == "train"))
        )
    subjects = tuple(aligned["subject"].values.astype(str).tolist())
    labels, presented = unbroken_runs(aligned), Presentations.of_aligned(aligned)
    return FilmData(film, torch.from_numpy(bold), part, labels, subjects, gap, run, presented)


def unbroken_runs(aligned: xr.Dataset) -> np.ndarray:
    """The run of each TR (n_trs,), with a number where TRs are missing or the film was broken off.

    Only TRs of one label follow each other: with a lag, in a window, under the HRF.
    """
    run, trs = aligned["run"].values.astype(str), aligned["tr"].values
    breaks = np.diff(trs) != 1
    if "showing" in aligned:
        breaks |= np.diff(aligned["showing"].values) != 0
    if not (breaks & (run[1:] == run[:-1])).any():
        return run
    number = np.concatenate([[0], np.cumsum(breaks)]).astype(str)
    return np.char.add(np.char.add(run, " part "), number)


def film_sound(
    film: Path, aligned: xr.Dataset, sample_rate: int, track: int | str | None = None
) -> np.ndarray:
    """The whole sound (n_samples,) of the film that ``aligned`` was made of.

    ``track``: of several sound tracks, as `giblet.audio.read_sound` takes it.
    Raises GibletError if ``film`` or its track is another one.
    """
    if fingerprint(film) != aligned.attrs.get("input"):
        name = aligned.attrs.get("film", "another film")
        raise GibletError(f"{film}: not the film that the aligned arrays were made of ({name})")
    made_of = aligned.attrs.get("sound_track")  # absent in older files
    if made_of is not None and (read := chosen_track(film, track)) != made_of:
        raise GibletError(
            f"{film}: sound track {read} (audio_track), but the aligned arrays were made of "
            f"{made_of}"
        )
    return read_sound(film, sample_rate, track)


def film_shapes(aligned: xr.Dataset, hrf_model: str, codebook_dim: int = 128) -> Shapes:
    """Sizes of the data that a model is built for; ``codebook_dim`` is the codec's."""
    sizes, attrs = aligned.sizes, aligned.attrs
    brain: dict[str, Any] = {}
    if "bold" in aligned:
        kernel = tr_kernel(attrs["t_r"], attrs["volume_offset"], hrf_model)
        brain = {
            "n_voxels": sizes["voxel"],
            "subjects": tuple(aligned["subject"].values.astype(str).tolist()),
            "hrf_kernel": tuple(kernel.tolist()),
            "n_blurred": sizes["regressor"],
        }
    modalities = {
        name: tuple(sizes[dim] for dim in modality.dims)
        for name, modality in beside_sound().items()
        if name in aligned
    }
    return Shapes.with_modalities(
        modalities,
        use_encodec=FEATURE_TYPES[attrs["encoding_mode"]].is_codes,
        n_rows=sizes["row"],
        frames_per_tr=sizes["frame"],
        codebook_size=int(attrs["codebook_size"]),
        codebook_dim=codebook_dim,
        **brain,
    )
