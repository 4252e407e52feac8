"""Verbs on the scans: simulated or read, blurred film beside them, how good they are."""

from pathlib import Path

from giblet.config import Config


def simulate_bold(
    film: Path, folder: Path, config: Config, annotations: Path | None = None
) -> None:
    """SIMULATED brains that watch the film, as a BIDS derivative data set.

    Example: giblet simulate_bold --film film.mp4 --annotations said.tsv --folder simulated
    """
    from giblet.demo.scanner import simulate_bids
    from giblet.demo.viewing import stimulus_features

    features = stimulus_features(film, annotations, config.words)
    simulate_bids(folder, *features, config.t_r, stim_file=film.name, seed=config.seed)


def load_bold(source: Path, bold: Path, config: Config) -> None:
    """Every run of a BIDS data set or of a table of runs, on the film's clock.

    With ``scan.null`` noise of the same spectrum instead, seeded by ``seed``.

    Example: giblet load_bold --source derivatives/fmriprep --bold bold.nc
    """
    from giblet.alignment.sync import move_scans
    from giblet.bids import MOTION
    from giblet.bold import save_bold, survey_bids, survey_runs
    from giblet.runs import run_files
    from giblet.store import fingerprint

    scan = config.scan
    if source.is_file():
        scans = survey_runs(source, scan.parcellation, scan.confounds or ())
        used = run_files(source)
    else:
        confounds = MOTION if scan.confounds is None else scan.confounds
        strategy, used = scan.confound_strategy, [source]
        scans = survey_bids(source, config.task, scan.parcellation, confounds, strategy)
    scans, attrs = move_scans(scans, scan.lag_seconds), {"lag_seconds": scan.lag_seconds}
    null_seed = config.seed if scan.null else None
    save_bold(scans, bold, scan.high_pass_hz, null_seed, input=fingerprint(*used), **attrs)


def convolve_hrf(features: Path, bold: Path, regressors: Path, config: Config) -> None:
    """Blur one modality's amounts by the HRF, sampled when each volume was taken.

    Example: giblet convolve_hrf --features trs/text.nc --bold bold.nc --regressors text.nc
    """
    from giblet.alignment.hrf import fir_lags
    from giblet.alignment.regressors import film_regressors
    from giblet.audio.processor import AudioProcessor
    from giblet.contents import FEATURES, SCANS
    from giblet.store import load_arrays, open_arrays, save_arrays

    film = load_arrays(features, *FEATURES, or_nothing=True)
    path = film.attrs.get("encoding_mode")
    processor = AudioProcessor.from_config(config, path) if path else None
    lags = fir_lags(config.hrf_model, config.fir_lags_seconds, config.t_r)
    with open_arrays(bold, *SCANS) as scans:
        arrays = film_regressors(film, scans, config.t_r, config.hrf_model, processor, lags)
    save_arrays(arrays, regressors)


def brain_quality(
    bold: Path,
    quality: Path,
    scores: Path,
    config: Config,
    regressors: list[Path] = (),
    sound: Path | None = None,
) -> None:
    """What people share, ridge from the film, and by its mel how late the scans are.

    Maps, and a table of their means; of parcels, ``<scores>_parcels.tsv`` beside it names each.

    Example: giblet brain_quality --bold bold.nc --quality quality.nc --scores quality.tsv
    """
    from giblet.alignment.scan_lag import sound_levels
    from giblet.brain_quality import brain_quality, parcel_table, summary_table
    from giblet.contents import REGRESSORS, SCANS, SOUND
    from giblet.store import load_arrays, open_arrays, save_arrays, save_table

    film = {p.stem: load_arrays(p, *REGRESSORS, or_nothing=True) for p in regressors}
    options = config.quality.model_dump() | config.model_dump(
        include={"max_trs", "max_voxels", "seed"}
    )
    options["levels"] = sound_levels(load_arrays(sound, *SOUND)) if sound else None
    with open_arrays(bold, *SCANS) as scans:
        found = brain_quality(scans, film, config.t_r, **options)
    save_arrays(found, quality)
    save_table(summary_table(found), scores)
    named = scores.with_name(f"{scores.stem}_parcels.tsv")
    if (parcels := parcel_table(found)) is None:
        named.unlink(missing_ok=True)
    else:
        save_table(parcels, named)
