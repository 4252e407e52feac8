"""Verbs on both: aligned, learned, listened through and reported."""

from pathlib import Path

from giblet.config.config import Config


def sync_align(
    audio: Path,
    video: Path,
    aligned: Path,
    config: Config,
    text: Path | None = None,
    bold: Path | None = None,
    regressors: list[Path] = (),
) -> None:
    """Film, words and scans on the film's TRs, cropped to what all cover, in parts.

    Example: giblet sync_align --audio trs/mel.nc --video trs/video.nc --aligned mel.nc
    """
    from contextlib import nullcontext

    from giblet.alignment.aligned import align
    from giblet.io.arrays import load_arrays, open_arrays, save_arrays
    from giblet.io.schema import PICTURES, REGRESSORS, SCANS, SOUND, WORDS
    from giblet.log import warnings_of

    loaded = [load_arrays(audio, *SOUND), load_arrays(video, *PICTURES, or_nothing=True)]
    loaded += [] if text is None else [load_arrays(text, *WORDS, or_nothing=True)]
    blurred = [load_arrays(p, *REGRESSORS, or_nothing=True) for p in regressors]
    with nullcontext() if bold is None else open_arrays(bold, *SCANS) as scans:
        found = align(loaded, scans, blurred, config.t_r, config.splits, config.max_voxels)
    told = loaded if scans is None else [*loaded, scans]
    save_arrays(found, aligned, known=[said for one in told for said in warnings_of(one.attrs)])


def train(aligned: Path, model: Path, logs: Path, config: Config) -> None:
    """Train the autoencoder; checkpoints and TensorBoard curves go into ``logs``.

    Example: giblet train --aligned mel.nc --model model --logs training --threads 2
    """
    from giblet.autoencoder.preparation import prepare_training
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED

    _fit(prepare_training(load_arrays(aligned, *ALIGNED), config), model, logs)


def pretrain(sounds: Path, validation: Path, model: Path, logs: Path, config: Config) -> None:
    """Train the audio encoder and decoder on any sounds, which need no brain.

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
    audio: Path,
    scores: Path,
    config: Config,
    regions: Path | None = None,
) -> None:
    """Held-out sound through codec, bottleneck and brain: wav files and scores.

    ``regions``, for ``decoding.region``, as those of ``lesion``. Refreshes ``scores.tsv`` beside
    the folder of ``scores``: the tables of all paths built so far.

    Example: giblet reconstruct --film film.mp4 --aligned mel.nc --model model --audio audio
        --scores scores/mel.tsv
    """
    from giblet.alignment.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.evaluation.reconstruction import reconstruct
    from giblet.evaluation.scores import score_table
    from giblet.io.arrays import load_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import gather_tables, save_table

    arrays = load_arrays(aligned, *ALIGNED)
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    autoencoder = Autoencoder.from_pretrained(model)
    blurred = autoencoder.config.hrf_placement == "inputs"
    asked = config.decoding.region and "bold" in arrays
    sounds, rows = reconstruct(
        arrays,
        film_data(arrays, blurred),
        autoencoder,
        processor,
        film_sound(film, arrays, processor.sample_rate),
        config.decoding,
        config.seed,
        find_regions(arrays, regions) if asked else None,
    )
    with replacing_folder(audio) as folder:
        for column, waveform in sounds.items():
            write_sound(folder / f"{column}.wav", waveform, processor.sample_rate)
    save_table(score_table(processor.encoding_mode, rows), scores)
    gather_tables(scores.parent)


def report(results: Path, page: Path, config: Config, logs: Path | None = None) -> None:
    """One self-contained page about everything in a data set's ``results`` folder.

    Of scans alone, or of a film without a scan, the parts there are. ``logs``: the folder of the
    rules' logs, whose warnings then stand on the page.

    Example: giblet report --results results/demo --page report.html
    """
    from giblet.io.atomic import replacing
    from giblet.report.page import render_page
    from giblet.report.results import load_results, load_scores

    found = load_results(results, config, logs)
    with replacing(page) as temporary:
        temporary.write_text(render_page(load_scores(results, config), *found))


def leave_one_out(
    aligned: Path,
    model: Path,
    logs: Path,
    scores: Path,
    config: Config,
    regions: Path | None = None,
) -> None:
    """How well subjects are read whom the network never saw: a table.

    Beside it, how the network reads them that saw all. Each training is as that of ``train``, and
    goes on where it was stopped; checkpoints and TensorBoard curves go into a folder a subject in
    ``logs``. ``regions`` as for ``reconstruct``.

    Example: giblet leave_one_out --aligned mel.nc --model model --logs training --scores left.tsv
    """
    from functools import partial

    import pandas as pd

    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.training import is_first_process
    from giblet.brain.regions import find_regions
    from giblet.evaluation.leave_one_out import check_subjects, leave_one_out
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    check_subjects(arrays)
    found = find_regions(arrays, regions) if config.decoding.region else None
    train = partial(_train_others, logs=logs, config=config)
    options = (config.decoding, config.seed, found)
    rows = leave_one_out(arrays, Autoencoder.from_pretrained(model), train, *options)
    if not is_first_process():
        return
    save_table(pd.DataFrame(rows), scores)
    for checkpoint in logs.glob("*/*.ckpt"):
        checkpoint.unlink()


def _train_others(others, subject: str, logs: Path, config: Config):
    """The network of ``others``, an array set without ``subject``."""
    from giblet.autoencoder.preparation import prepare_training
    from giblet.io.paths import file_name
    from giblet.log import tell

    training = config.training.model_copy(update={"nodes": 1})  # one job trains one after the other
    config = config.model_copy(update={"training": training})
    tell(f"training without {subject} begins")
    return prepare_training(others, config).fit(logs / file_name(subject)).autoencoder
