"""Commands for the model: align, train, reconstruct, report."""

from pathlib import Path

from giblet.commands.option_help import OptionalFile, OptionalFolder, OutputFile, OutputFolder
from giblet.config.config import Config


def sync_align(
    audio: Path,
    video: Path,
    aligned: OutputFile,
    config: Config,
    text: Path | None = None,
    bold: Path | None = None,
    regressors: list[Path] = (),
    others: list[Path] = (),
    fold: int | None = None,
) -> None:
    """Align film, text and scans to the film's TRs; split into train and test.

    ``--fold`` of ``splits.folds``, from 1: the test part is that one. Where the score is a table of
    pieces, parts hold whole ones.

    Example: giblet sync_align --audio trs/mel.nc --video trs/video.nc --aligned mel.nc
    """
    from contextlib import nullcontext

    from giblet.alignment.aligned import align
    from giblet.alignment.stimulus_folds import music_of
    from giblet.commands.held_out_music import film_pieces
    from giblet.io.arrays import load_arrays, open_arrays, save_arrays
    from giblet.io.schema import PICTURES, REGRESSORS, SCANS, SOUND, WORDS
    from giblet.log import warnings_of
    from giblet.music.pieces import Pieces

    loaded = [load_arrays(audio, *SOUND), load_arrays(video, *PICTURES, or_nothing=True)]
    loaded += [] if text is None else [load_arrays(text, *WORDS, or_nothing=True)]
    loaded += [load_arrays(path, path.stem, "tr", or_nothing=True) for path in others]
    score = next((one for one in loaded if "piece_begin" in one.coords), None)
    several = None if score is None else Pieces.of_arrays(score)
    pieces = several and film_pieces(several, score.sizes["tr"], config.t_r)
    music = music_of(loaded)
    loaded = [one.drop_dims(["piece", "stimulus"], errors="ignore") for one in loaded]
    blurred = [load_arrays(p, *REGRESSORS, or_nothing=True) for p in regressors]
    with nullcontext() if bold is None else open_arrays(bold, *SCANS) as scans:
        options = (config.t_r, config.splits, config.max_voxels, fold, pieces, music)
        together = align(loaded, scans, blurred, *options)
    parts = loaded if scans is None else [*loaded, scans]
    save_arrays(together, aligned, [w for part in parts for w in warnings_of(part.attrs)])


def train(aligned: Path, model: OutputFolder, logs: OutputFolder, config: Config) -> None:
    """Train the autoencoder; the same command resumes from its last checkpoint.

    Example: giblet train --aligned mel.nc --model model --logs training --threads 2
    """
    from giblet.autoencoder.preparation import prepare_training
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED

    _fit(prepare_training(load_arrays(aligned, *ALIGNED), config), model, logs)


def pretrain(
    sounds: Path, validation: Path, model: OutputFolder, logs: OutputFolder, config: Config
) -> None:
    """Train the audio encoder and decoder on any audio files; no scans are needed.

    Example: giblet pretrain --sounds a --validation b --model model --logs training
    """
    from giblet.autoencoder.preparation import prepare_pretraining

    _fit(
        prepare_pretraining({"train": sounds, "validation": validation}, config), model, logs, True
    )


def _fit(preparation, model: Path, logs: Path, half: bool = False) -> None:
    """Train and write the model's folder; then remove the checkpoints.

    ``half``: weights in half precision.
    """
    import sys

    from giblet.autoencoder.training import is_first_process, summary
    from giblet.config.precision import uses_bfloat16
    from giblet.io.atomic import replacing_folder
    from giblet.io.tables import save_table

    trained = preparation.fit(logs, progress=sys.stderr.isatty())
    if not is_first_process():
        return
    autoencoder = trained.autoencoder.half() if half else trained.autoencoder
    training = preparation.config.training
    mixed = uses_bfloat16(training.bfloat16)
    autoencoder.facts = {
        "training": training.model_dump() | {"bfloat16": mixed},
        "baselines": trained.baselines,
        "best_epoch": trained.best_epoch,
        "seed": preparation.config.seed,
        "started_from": preparation.started_from,
        "trained_on": preparation.trained_on,
    }
    table, epochs = summary(trained), trained.history
    with replacing_folder(model) as folder:
        autoencoder.save_pretrained(folder)
        save_table(epochs, folder / "history.tsv")
        save_table(table, folder / "summary.tsv")
    print(f"best of {len(epochs)} epochs: number {trained.best_epoch + 1}; 1 is nothing learned")
    print(table.to_string(index=False, float_format="%.3f"))
    for checkpoint in logs.glob("*.ckpt"):
        checkpoint.unlink()


def reconstruct(
    film: Path,
    aligned: Path,
    model: Path,
    audio: OutputFolder,
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
    differences: OptionalFile = None,
    identified: OptionalFile = None,
    subjects: OptionalFile = None,
    permutations: OptionalFile = None,
    jobs: int = 1,
) -> None:
    """Reconstruct held-out sound through codec, bottleneck and brain; score it.

    ``--regions`` is for ``decoding.region``. Also updates ``scores.tsv`` beside the folder of
    ``--scores``, which joins the tables of all feature types. ``--differences`` is a table of the
    brain's scores minus those of its nulls and of the retrieval baseline. ``--identified``, where
    there are many stimuli, is a table of the held-out ones: which the brain is closest to.
    ``--permutations`` is a table of the null distribution of identification. ``--jobs`` subjects
    or sounds are decoded and scored at a time.

    Example: giblet reconstruct --film film.mp4 --aligned mel.nc --model model --audio audio
        --scores scores/mel.tsv
    """
    import pandas as pd

    from giblet.alignment.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.metrics.scores import SEGMENT_SCORES
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.commands.process import jobs_at_once
    from giblet.evaluation.checks import Evidence, check_evidence
    from giblet.evaluation.evidence import RECORD
    from giblet.evaluation.moments import difference_table, subject_table
    from giblet.evaluation.permuted_clips import null_table
    from giblet.evaluation.reconstruction import reconstruct
    from giblet.evaluation.scores import score_table
    from giblet.evaluation.stimulus_identification import decoded_stimuli
    from giblet.io.arrays import load_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import gather_tables, save_json, save_table

    n_jobs, arrays = jobs_at_once(jobs), load_arrays(aligned, *ALIGNED)
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    autoencoder = Autoencoder.from_pretrained(model)
    blurred = autoencoder.config.hrf_placement == "inputs"
    asked = config.decoding.region and "bold" in arrays
    sound = film_sound(film, arrays, processor.sample_rate, config.audio_track)
    data, named = film_data(arrays, blurred), find_regions(arrays, regions) if asked else None
    sounds, rows, compared, by_subject, nulls, segments = reconstruct(
        arrays,
        data,
        autoencoder,
        processor,
        sound,
        config.decoding,
        config.seed,
        named,
        config.scan,
        n_jobs,
    )
    table = score_table(processor.encoding_mode, rows)
    of_subjects = subject_table(processor.encoding_mode, by_subject)
    record, clip_seconds = autoencoder.facts.get("trained_on", {}), config.decoding.clip_seconds
    rest = (table, of_subjects, sounds, processor.sample_rate, clip_seconds)
    check_evidence(Evidence.of(arrays, record, *rest))
    with replacing_folder(audio) as folder:
        for column, waveform in sounds.items():
            write_sound(folder / f"{column}.wav", waveform, processor.sample_rate)
        save_json({"clip_seconds": clip_seconds}, folder / RECORD)
        save_table(pd.DataFrame(segments), folder / SEGMENT_SCORES)
    save_table(table, scores)
    gather_tables(scores.parent)
    if differences is not None:
        save_table(difference_table(processor.encoding_mode, compared), differences)
    if identified is not None:
        table = decoded_stimuli(arrays, data, autoencoder, config.decoding, config.seed, named)
        save_table(table, identified)
    if subjects is not None:
        save_table(of_subjects, subjects)
    if permutations is not None:
        save_table(null_table(processor.encoding_mode, nulls), permutations)


def report(
    results: Path,
    page: OutputFile,
    config: Config,
    logs: Path | None = None,
    figures: OptionalFolder = None,
    methods: OptionalFile = None,
    references: OptionalFile = None,
    scores: OptionalFile = None,
    latex: OptionalFile = None,
    jobs: int = 1,
) -> None:
    """Write one self-contained page about all results of a data set.

    Scans without a film, or a film without scans, give the sections that they have. ``--figures``
    is a folder for its figures as SVG, PDF and CSV, of maps as NIfTI too. ``--methods``
    (Markdown) and ``--references`` (BibTeX) are its methods text, ``--scores`` (CSV) and
    ``--latex`` its scores, a row per system. The page links to those that are given. With several
    ``--jobs`` the files of figures are drawn by as many processes beside the page.

    Example: giblet report --results results/demo --page report.html
    """
    from contextlib import ExitStack
    from dataclasses import replace

    from giblet.commands.process import jobs_at_once
    from giblet.evaluation.evidence import checked_evidence
    from giblet.io.atomic import replacing, replacing_folder
    from giblet.report.downloads import LATEX, METHODS, REFERENCES, WIDE, downloads
    from giblet.report.figure_table import pictures_of
    from giblet.report.links import link_to, sound_links
    from giblet.report.material import Material
    from giblet.report.page import page_of
    from giblet.report.pictures import pictures_saved
    from giblet.report.results import load_results, load_scores, scored_feature_types

    n_jobs = jobs_at_once(jobs)
    if config.has_film:
        checked_evidence(results)
    sounds, *parts, extras = load_results(results, config, logs)
    named = {METHODS: methods, REFERENCES: references, WIDE: scores, LATEX: latex}
    beside = {name: path for name, path in named.items() if path is not None}
    extras = replace(
        extras,
        figures="" if figures is None else link_to(figures, page),
        links={name: link_to(path, page) for name, path in beside.items()},
        sound_links=sound_links(results, scored_feature_types(results, config), page),
    )
    material = Material(load_scores(results, config), sounds, *parts, extras)
    with ExitStack() as saved:
        if figures is not None:
            folder = saved.enter_context(replacing_folder(figures))
            saved.enter_context(pictures_saved(pictures_of(material), folder, n_jobs))
        html = page_of(material)
    texts = {file.name: file.content for file in downloads(material)}
    for name, path in beside.items():
        with replacing(path) as temporary:
            temporary.write_text(texts.get(name, ""), encoding="utf-8")
    with replacing(page) as temporary:
        temporary.write_text(html, encoding="utf-8")


def leave_one_out(
    aligned: Path,
    model: Path,
    logs: OutputFolder,
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
) -> None:
    """Leave-one-subject-out decoding: a table.

    It holds decoding by the network of all subjects, too. Each training is as that of ``train``,
    resumes where it was stopped, and has a folder per subject in ``--logs``. ``--regions`` is for
    ``decoding.region``.

    Example: giblet leave_one_out --aligned mel.nc --model model --logs training --scores left.tsv
    """
    from functools import partial

    import pandas as pd

    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.training import is_first_process
    from giblet.brain.regions import find_regions
    from giblet.evaluation.leave_one_out import check_subjects, leave_one_out, selection_warnings
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    check_subjects(arrays)
    _log_warnings(selection_warnings(arrays))
    columns = find_regions(arrays, regions) if config.decoding.region else None
    train = partial(_train_others, logs=logs, config=config)
    options = (config.decoding, config.seed, columns, config.scan)
    rows = leave_one_out(arrays, Autoencoder.from_pretrained(model), train, *options)
    if not is_first_process():
        return
    save_table(pd.DataFrame(rows), scores)
    for checkpoint in logs.glob("*/*.ckpt"):
        checkpoint.unlink()


def calibration(
    aligned: Path,
    model: Path,
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
) -> None:
    """Scores after some minutes of a new person's data: a table.

    Each subject in turn is new; the others make the common space of ``scan.alignment``, its decoder
    and its encoding model. ``--regions`` is for ``decoding.region``.

    Example: giblet calibration --aligned mel.nc --model model --scores calibration.tsv
    """
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks
    from giblet.brain.regions import find_regions
    from giblet.evaluation.calibration import Codes, calibration_rows, calibration_table
    from giblet.evaluation.leave_one_out import check_subjects, selection_warnings
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    check_subjects(arrays, "calibration")
    _log_warnings(selection_warnings(arrays))
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    code = bottlenecks(autoencoder, data)
    codes = Codes(code, blurred_bottlenecks(autoencoder, code, data.run))
    rows = calibration_rows(
        codes,
        data,
        float(arrays.attrs["t_r"]),
        config.decoding,
        config.scan,
        config.calibration.minutes,
        config.seed,
        find_regions(arrays, regions) if config.decoding.region else None,
    )
    path = arrays.attrs["encoding_mode"]
    save_table(calibration_table(path, config.scan.alignment, rows), scores)


def _log_warnings(warnings: list[str]) -> None:
    import logging

    for warning in warnings:
        logging.getLogger(__name__).warning("%s", warning)


def _train_others(others, subject: str, logs: Path, config: Config):
    """Train on ``others``, an array set without ``subject``."""
    import logging

    from giblet.autoencoder.preparation import prepare_training
    from giblet.io.paths import file_name

    training = config.training.model_copy(update={"nodes": 1})  # one job trains one after the other
    config = config.model_copy(update={"training": training})
    logging.getLogger(__name__).info("training without %s begins", subject)
    return prepare_training(others, config).fit(logs / file_name(subject)).autoencoder
