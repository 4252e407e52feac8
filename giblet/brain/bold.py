"""Reading and cleaning BOLD of data sets of any layout, on the film's clock.

One run is in memory at a time. Each is read twice: to find voxels that vary, and to be cleaned.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.bids import BIDS, read_runs
from giblet.brain.bids_files import files_space
from giblet.brain.qc import tsnr
from giblet.brain.run_table import RUN_TABLE, read_run_table
from giblet.brain.runs import (
    MOTION,
    BoldRun,
    Layout,
    presented_coordinates,
    volumes_table,
)
from giblet.brain.screening import Scans, listed, survey
from giblet.errors import GibletError
from giblet.io.arrays import append_arrays, new_variable
from giblet.io.atomic import replacing
from giblet.log import progress
from giblet.stats.pearson import FLAT
from giblet.stats.permutation import phase_randomised
from giblet.timing import acquisition_times

LAYOUTS = (RUN_TABLE, BIDS)  # of data sets; the first that fits is taken
_CHUNK_COLUMNS = 1024
NULL = "no data: BOLD was replaced by phase-randomised noise (scan.null); scores must be at chance"


def load_bids(
    folder: str | Path,
    task: str | None = None,
    high_pass_hz: float | None = 0.01,
    parcellation: str | Path | None = None,
    confounds: Sequence[str] = MOTION,
    strategy: Sequence[str] = (),
    space: str | None = None,
    raw: str | Path | None = None,
) -> xr.Dataset:
    """BOLD of every run of every subject, cleaned but not z-scored (that needs the training split).

    ``folder`` holds ``sub-*/[ses-*/]func``, or ``derivatives/*`` with them inside. Each run has its
    brain mask, confounds table and JSON sidecar by BIDS' inheritance, and an events table there or
    in the ``raw`` data set (None: looked for around the derivatives). Of several spaces ``space``
    names one (``MNI152NLin6Asym:res-2``). Non-steady-state volumes are dropped; a linear trend,
    cosines below ``high_pass_hz`` (None: none) and the ``confounds`` columns are regressed out, or
    instead of them those of nilearn's ``load_confounds`` by ``strategy`` (``("motion", "wm_csf")``
    …). Volumes that ``"scrub"`` leaves out are 0, not in the film, and cleaning does not see them.

    Returns
    -------
    ``bold`` (volume, voxel) float32, in the scanner's own units around 0, or (volume, parcel) when
    ``parcellation`` is an atlas, a file or a name: the mean over each parcel's voxels. Along
    ``volume``: ``subject``, ``run``, ``film_time`` (s, when the volume was taken, on the film's
    clock), ``in_film``, ``film_start`` (s, the film time at which its presentation began) and
    ``framewise_displacement`` (mm, NaN where unknown). Along ``voxel``: ``x y z`` (mm, MNI).
    ``tsnr`` (scan, voxel or parcel) of the steady volumes before cleaning, NaN where
    the series have no mean; along ``scan``: ``scan_subject``, ``scan_run``. ``mask`` (i, j, k)
    holds the voxels in ``np.argwhere`` order, ``labels`` (i, j, k) the parcellation on that grid.
    Of a surface (``space="fsaverage5"``) ``voxel`` are vertices, with ``hemisphere`` and ``vertex``
    instead of places and mask. Attributes ``t_r``, ``source``, ``preprocessing`` (where known),
    ``space`` (where the files' names have one), ``stim_file``, ``affine``, ``warnings``.

    Raises
    ------
    GibletError
        Missing or unreadable files, no RepetitionTime, NaN in the BOLD, an empty common mask,
        confounds of another length, two runs with one name, different grids, a scan that ends a
        TR or more before the film.
    """
    scans = survey_bids(folder, task, parcellation, confounds, strategy, space, raw)
    return load_scans(scans, high_pass_hz)


def load_runs(
    table: str | Path,
    high_pass_hz: float | None = 0.01,
    parcellation: str | Path | None = None,
    confounds: Sequence[str] = (),
) -> xr.Dataset:
    """BOLD of the runs that a table names (`run_table.read_run_table`), as `load_bids`.

    Parcels and vertices come as ``bold`` (volume, parcel) with their names as ``parcel``, and
    without coordinates. Raises GibletError as both of them do, and for runs of different columns.
    """
    return load_scans(survey_runs(table, parcellation, confounds), high_pass_hz)


def find_layout(source: Path) -> Layout:
    """The layout of a data set; BIDS where none fits: its reader says what is missing."""
    return next((layout for layout in LAYOUTS if layout.fits(source)), BIDS)


def survey_scans(source: Path, task=None, parcellation=None, **reading) -> Scans:
    """The runs of a data set of any layout, each read once for which of its columns vary.

    ``parcellation`` as of `load_bids`, the rest as of `read_data_set`.
    """
    return survey(read_data_set(source, task, **reading), source, parcellation)


def read_data_set(
    source: Path,
    task=None,
    confounds=None,
    strategy=(),
    space=None,
    raw=None,
    stimuli=None,
    exclude=(),
) -> list[BoldRun]:
    """The runs of a data set of any layout, from headers and tables.

    Arguments as `load_bids`; ``confounds`` None: those that its layout takes by itself;
    ``stimuli``: where events present many, their `giblet.brain.stimulus_clock.StimulusClock`;
    ``exclude``: labels of subjects that are left out.

    GibletError for a ``space``, ``raw`` or ``strategy`` of a table of runs: it names its files
    itself, and its tables of confounds need not be fMRIPrep's.
    """
    places = {k: v for k, v in (("space", space), ("raw", raw)) if v is not None}
    layout = find_layout(source)
    of_bids = [*places, *["confound_strategy"] * bool(strategy)]
    if of_bids and layout is not BIDS:
        keys = ", ".join(f"scan.{name}" for name in of_bids)
        columns = " (scan.confounds names columns of the tables of confounds)" * bool(strategy)
        raise GibletError(f"{source}: {keys}: for BIDS folders alone; leave it out{columns}")
    if stimuli is not None:
        places["stimuli"] = stimuli
    if exclude:
        places["exclude"] = exclude
    return layout.read_runs(source, task, confounds, strategy, **places)


def survey_bids(
    folder, task=None, parcellation=None, confounds=MOTION, strategy=(), space=None, raw=None
) -> Scans:
    """`survey_scans` of a BIDS data set; arguments as `load_bids`."""
    folder = Path(folder)
    runs = read_runs(folder, task, confounds, strategy, space, raw)
    return survey(runs, folder, parcellation)


def survey_runs(table, parcellation=None, confounds=()) -> Scans:
    """`survey_scans` of the runs that a table names; arguments as `load_runs`."""
    return survey(read_run_table(Path(table), confounds), Path(table), parcellation)


def save_bold(
    scans: Scans,
    path: str | Path,
    high_pass_hz: float | None = 0.01,
    null_seed: int | None = None,
    mesh: xr.Dataset | None = None,
    **attrs,
) -> None:
    """Write what `load_bids` returns, with ``attrs`` and ``mesh``
    (`giblet.brain.surface_meshes.scan_mesh`), run by run: one run is in memory at a time.

    In chunks of the longest run × 1,024 columns, so that reading some columns is cheap.
    With a ``null_seed`` BOLD becomes `null_series`; attributes ``null`` and ``warnings`` say so.
    """
    if null_seed is not None:
        scans = replace(scans, warnings=[NULL, *scans.warnings])
        attrs["null"] = "phase-randomised"
    longest = max(run.n_volumes for run in scans.runs)
    chunks = (longest, min(_CHUNK_COLUMNS, len(scans.columns)))
    with replacing(path) as temporary:
        with new_variable(temporary, "bold", scans.sizes, chunks) as bold:
            arrays = _fill(bold, scans, high_pass_hz, null_seed)
        if mesh is not None:
            arrays = arrays.assign(mesh.data_vars).assign_attrs(mesh.attrs)
        append_arrays(arrays.assign_attrs(attrs), temporary)


def load_scans(scans: Scans, high_pass_hz: float | None = 0.01) -> xr.Dataset:
    """Read and clean what `survey_scans` selected; see `load_bids`."""
    bold = np.empty(tuple(scans.sizes.values()), dtype=np.float32)
    arrays = _fill(bold, scans, high_pass_hz)
    return arrays.assign(bold=(tuple(scans.sizes), bold))


def null_series(bold: np.ndarray, seed: int, run: str) -> np.ndarray:
    """Noise with the spectrum of each series of one run, of the same shape (n_volumes, n_columns).

    The phases of every column are independent, drawn by ``seed`` and ``run``, the name of a
    subject's run.

    >>> wave = np.sin(np.arange(8.0))[:, None]
    >>> noise = null_series(wave, 0, "sub-01 run-1")
    >>> np.allclose(np.abs(np.fft.rfft(noise, axis=0)), np.abs(np.fft.rfft(wave, axis=0)))
    True
    """
    rng, noise = np.random.default_rng([seed, *run.encode()]), np.empty_like(bold)
    for start in range(0, bold.shape[1], _CHUNK_COLUMNS):
        columns = slice(start, start + _CHUNK_COLUMNS)
        alone = bold[:, columns].T[..., None]  # (n_columns, n_volumes, 1)
        noise[:, columns] = phase_randomised(alone, rng)[..., 0].T
    return noise


def _fill(
    bold, scans: Scans, high_pass_hz: float | None, null_seed: int | None = None
) -> xr.Dataset:
    """Put cleaned runs into ``bold`` (an array, or a file's), one by one; returns all else."""
    start = 0
    ratios = np.empty((len(scans.runs), len(scans.columns)), dtype=np.float32)
    silent = np.zeros(len(scans.columns), dtype=bool)
    for n, run in enumerate(progress(scans.runs, "cleaning scans", "runs")):
        stop = start + run.n_volumes
        cleaned, ratios[n] = _cleaned(run, scans, high_pass_hz)
        silent |= ~cleaned.any(axis=0)
        if null_seed is not None:
            cleaned = null_series(cleaned, null_seed, f"{run.subject} {run.name}")
        bold[start:stop] = cleaned
        del cleaned  # before the next run is read
        start = stop
    return _other_arrays(_with_silent(scans, silent), ratios)


def _with_silent(scans: Scans, silent: np.ndarray) -> Scans:
    """``scans`` with a warning of ``silent`` (n_columns,) bool; GibletError if all are."""
    if not silent.any():
        return scans
    why = "nothing but a trend, slow drifts or confounds in some run"
    if silent.all():
        raise GibletError(
            f"{scans.source}: all columns are {why}; look at the scans, or take fewer confounds"
        )
    warning = f"{listed(silent, scans.columns)} are {why}: set to 0 there, left out of all scores"
    return replace(scans, warnings=[*scans.warnings, warning])


def _cleaned(run: BoldRun, scans: Scans, high_pass_hz) -> tuple[np.ndarray, np.ndarray]:
    """Cleaned BOLD of one run (n_volumes, n_columns) float32; tSNR before that (n_columns,)."""
    series = run.read(scans.columns)
    all_kept = run.kept is None or run.kept.all()
    try:
        ratio = tsnr(series if all_kept else series[run.kept])
    except ValueError:  # no mean
        ratio = np.full(series.shape[1], np.nan)
    cleaned = clean_series(series, run.nuisance, run.t_r, high_pass_hz, run.kept)
    return cleaned.astype(np.float32, copy=False), ratio


def _other_arrays(scans: Scans, ratios: np.ndarray) -> xr.Dataset:
    """All but ``bold``; ``ratios`` (n_scans, n_columns) is the tSNR."""
    runs = scans.runs
    volumes = volumes_table(runs)
    # lists: older xarray cannot write the strings of pandas 3
    clock = {name: ("volume", volumes[name].tolist()) for name in volumes}
    clock |= presented_coordinates(runs)
    of_scan = {
        "scan_subject": [run.subject for run in runs],
        "scan_run": [run.name for run in runs],
    }
    coords = clock | {name: ("scan", labels) for name, labels in of_scan.items()}
    displaced = np.concatenate([run.displacement for run in runs])
    arrays = (
        scans.columns.coordinates()
        .assign_coords(coords)
        .assign(
            tsnr=(("scan", scans.columns.dimension), ratios),
            framewise_displacement=("volume", displaced, {"units": "mm"}),
        )
    )
    unknown = np.isnan(ratios).all(axis=1).sum()
    message = f"{unknown} of {len(runs)} runs have no mean, as if z-scored: tSNR unknown"
    warnings = scans.warnings + [message] * bool(unknown)
    layout = find_layout(scans.source)
    attrs = {"t_r": runs[0].t_r, "stim_file": runs[0].stim_file}
    attrs |= {"source": layout.origin(scans.source)}
    if space := files_space([run.path for run in runs]):
        attrs |= {"space": space}
    if made_by := layout.preprocessing(scans.source):
        attrs |= {"preprocessing": made_by}
    return arrays.assign_attrs(attrs | {"warnings": warnings})


_COLUMNS_AT_ONCE = 4096  # 65 MB of float64 at 1,976 volumes


def clean_series(
    series: np.ndarray,
    nuisance: np.ndarray,
    t_r: float,
    high_pass_hz: float | None,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    """``series`` (n_volumes, n_columns) float, cleaned in place, around 0.

    A linear trend, cosines slower than ``high_pass_hz`` (None: none) and ``nuisance``
    (n_volumes, n_confounds) are regressed out together, by ``nilearn.signal.clean`` in float64.
    Volumes that are not ``kept`` (n_volumes,) bool have no part in it and become 0; None: all are.
    A column of which this leaves nothing but rounding becomes 0.
    """
    from nilearn import signal

    nuisance = np.hstack([nuisance, slow_cosines(len(series), t_r, high_pass_hz)])
    rows = np.arange(len(series)) if kept is None else np.flatnonzero(kept)
    is_whole = len(rows) == len(series)
    if not is_whole:
        # signal.clean would detrend over the volumes that are kept as if they followed each other
        trend = acquisition_times(len(series), t_r)[:, None]
        nuisance = np.hstack([nuisance, trend])[rows]
    for start in range(0, series.shape[1], _COLUMNS_AT_ONCE):
        block = series[:, start : start + _COLUMNS_AT_ONCE]
        values = (block if is_whole else block[rows]).astype(np.float64)
        power = np.einsum("vc,vc->c", values, values)
        if not is_whole:
            values -= values.mean(axis=0)
            block[:] = 0
        block[slice(None) if is_whole else rows] = signal.clean(
            values,
            detrend=is_whole,
            standardize=None,
            filter=False,
            confounds=nuisance if nuisance.shape[1] else None,
        )
        left = np.einsum("vc,vc->c", block, block)
        block[:, left <= FLAT**2 * power] = 0
    return series


def slow_cosines(n_volumes: int, t_r: float, high_pass_hz: float | None) -> np.ndarray:
    """Cosines slower than ``high_pass_hz``, (n_volumes, n_cosines).

    Not by ``signal.clean(filter="cosine")``: nilearn 0.13 drops the filter, with a warning,
    when a confound happens to resemble one of the cosines (r > 0.9), as slow motion does.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    if not high_pass_hz:
        return np.empty((n_volumes, 0))
    times = acquisition_times(n_volumes, t_r)
    design = make_first_level_design_matrix(times, drift_model="cosine", high_pass=high_pass_hz)
    return design.drop(columns="constant").to_numpy()
