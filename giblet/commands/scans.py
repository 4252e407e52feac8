"""Commands for the scans: simulate, load, HRF regressors, quality, levels, virtual lesions."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder
from giblet.config.config import Config


def simulate_bold(
    film: Path,
    folder: OutputFolder,
    config: Config,
    annotations: Path | None = None,
    score: Path | None = None,
) -> None:
    """Write BOLD of SIMULATED brains that watch the film, as a BIDS data set.

    Where the film has a score and no video, they listen to the music.

    Example: giblet simulate_bold --film film.mp4 --annotations said.tsv --folder simulated
    """
    from giblet.demo.bids_writer import simulate_bids, simulate_listeners
    from giblet.demo.listening import listening_features
    from giblet.demo.stimulus import stimulus_features
    from giblet.film.video import has_pictures

    options = {"seed": config.seed, **config.simulation.model_dump()}
    if score is not None and not has_pictures(film):
        heard = listening_features(film, score, config.audio_track, config.score_offset)
        simulate_listeners(folder, *heard, config.t_r, stim_file=film.name, **options)
        return
    features = stimulus_features(film, annotations, config.words, config.audio_track)
    simulate_bids(folder, *features, config.t_r, stim_file=film.name, **options)


def load_bold(source: Path, bold: OutputFile, config: Config, stimuli: Path | None = None) -> None:
    """Load and clean all runs of a BIDS data set or a table of runs.

    Volumes get their times on the film's clock. With ``scan.null`` BOLD is replaced by noise of the
    same spectrum, seeded by ``seed``. ``stimuli``: where runs present many, their table. A ``t_r``
    that is not the scan's stops it before any volume is read.

    Example: giblet load_bold --source derivatives/fmriprep --bold bold.nc
    """
    from giblet.alignment.sync import check_scan_t_r, move_scans
    from giblet.brain.bold import find_layout, read_data_set, save_bold
    from giblet.brain.screening import survey
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.brain.surface_meshes import scan_mesh
    from giblet.io.checksums import fingerprint

    scan = config.scan
    chosen = (scan.confounds, scan.confound_strategy, scan.space, scan.raw)
    clock = stimuli and StimulusClock.read(stimuli, config.t_r, config.events.stimulus)
    runs = read_data_set(source, config.task, *chosen, clock, scan.exclude_subjects)
    if "t_r" in config.model_fields_set:
        check_scan_t_r(runs[0].t_r, config.t_r)
    scans = survey(runs, source, scan.parcellation)
    used = find_layout(source).files(source)
    scans = move_scans(scans, scan.lag_seconds)
    attrs: dict[str, float | str] = {"lag_seconds": scan.lag_seconds}
    if scan.space:
        attrs["space"] = scan.space
    if stimuli:
        attrs["average_repeats"] = int(config.events.average_repeats)
        attrs["carry_over"] = int(config.events.carry_over)
    null_seed = config.seed if scan.null else None
    mesh = scan_mesh(scans.columns.coordinates(), scan.mesh)
    attrs["input"] = fingerprint(*used)
    save_bold(scans, bold, scan.high_pass_hz, null_seed, mesh, **attrs)


def convolve_hrf(features: Path, bold: Path, regressors: OutputFile, config: Config) -> None:
    """Convolve the features of one modality with the HRF, at each volume's time.

    Example: giblet convolve_hrf --features trs/text.nc --bold bold.nc --regressors text.nc
    """
    from giblet.alignment.hrf import fir_lags
    from giblet.alignment.regressors import film_regressors
    from giblet.audio.processor import AudioProcessor
    from giblet.film.modalities import feature_names
    from giblet.io.arrays import load_arrays, open_arrays, save_arrays
    from giblet.io.schema import SCANS

    film = load_arrays(features, *feature_names(), or_nothing=True)
    path = film.attrs.get("encoding_mode")
    processor = AudioProcessor.from_config(config, path) if path else None
    lags = fir_lags(config.hrf_model, config.fir_lags_seconds, config.t_r)
    with open_arrays(bold, *SCANS) as scans:
        arrays = film_regressors(film, scans, config.t_r, config.hrf_model, processor, lags)
    save_arrays(arrays, regressors)


def brain_quality(
    bold: Path,
    quality: OutputFile,
    scores: OutputFile,
    config: Config,
    regressors: list[Path] = (),
    sound: Path | None = None,
) -> None:
    """ISC, noise ceiling, ridge encoding and stimulus-BOLD lag: maps and a table.

    The table holds means of the maps; of parcels, ``<scores>_parcels.tsv`` has a row for each, and
    ``<scores>_clusters.tsv`` a row for each cluster at p < .05, corrected over the brain. With
    ``splits.folds`` ``<scores>_folds.tsv`` has the ridge scores of each fold, and intervals.

    Example: giblet brain_quality --bold bold.nc --quality quality.nc --scores quality.tsv
    """
    from giblet.alignment.lag import sound_levels
    from giblet.brain.neighbours import neighbours
    from giblet.evaluation.fold_maps import fold_table
    from giblet.evaluation.group_maps import cluster_table
    from giblet.evaluation.quality import brain_quality, parcel_table, summary_table
    from giblet.io.arrays import load_arrays, open_arrays, save_arrays
    from giblet.io.schema import REGRESSORS, SCANS, SOUND
    from giblet.io.tables import save_table

    film = {p.stem: load_arrays(p, *REGRESSORS, or_nothing=True) for p in regressors}
    options = config.quality.model_dump() | config.model_dump(
        include={"max_trs", "max_voxels", "seed"}
    )
    options["n_folds"] = config.splits.folds
    options["levels"] = sound_levels(load_arrays(sound, *SOUND)) if sound else None
    with open_arrays(bold, *SCANS) as scans:
        maps = brain_quality(scans, film, config.t_r, **options)
        clusters = cluster_table(maps, neighbours(scans))
    save_arrays(maps, quality)
    save_table(summary_table(maps), scores)
    save_table(clusters, scores.with_name(f"{scores.stem}_clusters.tsv"))
    for name, table in (("parcels", parcel_table(maps)), ("folds", fold_table(maps))):
        named = scores.with_name(f"{scores.stem}_{name}.tsv")
        if table is None:
            named.unlink(missing_ok=True)
        else:
            save_table(table, named)


def lesion(
    film: Path,
    aligned: Path,
    model: Path,
    audio: OutputFolder,
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
    score: Path | None = None,
) -> None:
    """Virtual lesions: change in the decoded sound per region; wav files and a table.

    Without ``--regions`` each parcel of the scan is a region. With ``--score`` the decoded score is
    scored, too.

    Example: giblet lesion --film film.mp4 --aligned mel.nc --model model --regions atlas.nii.gz
        --audio lesion --scores lesion.tsv
    """
    import logging

    import pandas as pd

    from giblet.alignment.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.commands.held_out_music import (
        aligned_score,
        held_out_music,
        latent_model,
        score_code,
        score_pieces,
    )
    from giblet.errors import GibletError
    from giblet.evaluation.lesions import lesion
    from giblet.evaluation.score_lesions import ScoreLesions
    from giblet.io.arrays import load_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.paths import file_name
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    columns = {} if data.bold is None else find_regions(arrays, regions)
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    sound = film_sound(film, arrays, processor.sample_rate, config.audio_track)
    music = None
    if score is not None:
        piece = aligned_score(score, aligned, arrays)
        held = held_out_music(piece, arrays, data, sound, processor, config, score_pieces(score))
        latents = latent_model(config)
        try:
            music = ScoreLesions(held, score_code(held, autoencoder, latents))
        except GibletError as error:
            logging.getLogger(__name__).warning("no lesions of the score: %s", error)
    options = (columns, config.decoding, config.lesion, config.seed, music, config.scan)
    sounds, rows = lesion(arrays, data, autoencoder, processor, sound, *options)
    with replacing_folder(audio) as folder:
        for name, waveform in sounds.items():
            write_sound(folder / f"{file_name(name)}.wav", waveform, processor.sample_rate)
    save_table(pd.DataFrame(rows), scores)


def codec_ladder(
    bold: Path,
    quality: Path,
    scores: OutputFile,
    config: Config,
    aligned: Path | None = None,
    codes: Path | None = None,
    mel: Path | None = None,
    model: Path | None = None,
    spaces: list[Path] = (),
    regions: Path | None = None,
) -> None:
    """Score the levels of the film (mel, codebooks, layers, video, words): a table.

    ``--spaces`` are files of video, text, score, and layers of models. Without ``--model`` the
    bottleneck is left out. Without ``--aligned``, as without a film, ``--spaces`` alone are scored,
    and the scans are split by ``splits``. Without ``--regions`` each parcel of the scan is a
    region; for voxels those of highest ISC are one.

    Example: giblet codec_ladder --aligned aligned/encodec.nc --bold bold.nc
        --quality brain_quality.nc --codes trs/encodec.nc --mel trs/mel.nc --model model/encodec
        --scores codec_ladder.tsv
    """
    from itertools import chain

    from giblet.alignment.aligned import align, film_data
    from giblet.alignment.hrf import fir_lags
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError
    from giblet.evaluation.level_features import (
        bottleneck_level,
        film_levels,
        level_ceilings,
        levels_on_trs,
        on_scanned_trs,
    )
    from giblet.evaluation.level_scores import level_profile
    from giblet.film.modalities import feature_names
    from giblet.io.arrays import load_arrays, open_arrays
    from giblet.io.schema import ALIGNED, QUALITY, SCANS, SOUND
    from giblet.io.tables import save_table

    if model and aligned is None:
        raise GibletError("--model needs --aligned")
    t_r, autoencoder = config.t_r, model and Autoencoder.from_pretrained(model)
    blurred = autoencoder is not None and autoencoder.config.hrf_placement == "inputs"
    sounds = [load_arrays(path, *SOUND) for path in (mel, codes) if path]
    sets = [load_arrays(path, *feature_names(), or_nothing=True) for path in spaces]
    sets = [one for one in sets if one.data_vars]
    if aligned is None and not sets:
        raise GibletError("a profile of levels needs a film, or words: name annotations")
    lags = fir_lags(config.hrf_model, config.fir_lags_seconds, t_r)
    with open_arrays(bold, *SCANS) as scans:
        if aligned:
            arrays = load_arrays(aligned, *ALIGNED)
        else:
            sets = [on_scanned_trs(one, scans, t_r, config.max_trs) for one in sets]
            arrays = align(sets[:1], scans, [], t_r, config.splits, config.max_voxels)
        data, trs = film_data(arrays, blurred), arrays["tr"].values
        levels = chain(
            *(
                film_levels(
                    one, t_r, AudioProcessor.from_config(config, one.attrs["encoding_mode"])
                )
                for one in sounds
            ),
            bottleneck_level(autoencoder, data, trs, t_r) if aligned else (),
            *(film_levels(one, t_r) for one in sets),
        )
        trained = data.part == "train"
        features = levels_on_trs(levels, scans, trs, t_r, config.hrf_model, lags, trained)
        is_mean = bool(scans.attrs.get("average_repeats", 0))
    columns, maps = arrays["column"].values, load_arrays(quality, *QUALITY)
    has_regions = regions is not None or "parcel" in arrays.coords
    members = find_regions(arrays, regions) if has_regions else {}
    ceiling = level_ceilings(maps, columns, is_mean)
    options = (members, ceiling, t_r, config.decoding, config.seed)
    save_table(level_profile(*features, data, *options), scores)
