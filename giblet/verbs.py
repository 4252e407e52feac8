"""One verb per Snakemake rule: load, call, save. Heavy imports stay inside the verb.

Every verb takes paths and a ``Config`` that holds the settings it uses; a path named in the rule's
``output`` is written whole or not at all.
"""

from pathlib import Path

from giblet.config import Config


def _processor(config: Config, path: str):
    from giblet.audio.mel import MelSettings
    from giblet.audio.processor import AudioProcessor

    return AudioProcessor(
        use_encodec=path == "encodec",
        codec=config.codec,
        bandwidth_kbps=config.bandwidth_kbps,
        t_r=config.t_r,
        framing=config.framing,
        mel=MelSettings(**config.mel.model_dump()),
    )


def _extract_sound(film: Path, stream: Path, path: str, config: Config) -> None:
    """A film's sound to a stream of code frames (path encodec) or mel frames (path mel)."""
    import xarray as xr

    from giblet.store import fingerprint, save_arrays

    processor = _processor(config, path)
    frames, n_trs = processor.extract(film, config.max_trs)
    arrays = xr.Dataset({"stream": (("row", "frame"), frames)})
    facts = processor.facts() | {"n_trs": n_trs, "film": film.name, "input": fingerprint(film)}
    save_arrays(arrays.assign_attrs(facts), stream)


def extract_codes(film: Path, codes: Path, config: Config) -> None:
    """A film's sound to EnCodec codes, (n_codebooks, n_frames)."""
    _extract_sound(film, codes, "encodec", config)


def extract_mel(film: Path, mel: Path, config: Config) -> None:
    """A film's sound to a mel spectrogram in dB, (n_mels, n_frames)."""
    _extract_sound(film, mel, "mel", config)


def group_trs(stream: Path, trs: Path) -> None:
    """A stream of frames to TRs: ``audio`` (n_trs, rows, frames_per_tr), on the stream's clock."""
    from giblet.audio.framing import group_trs
    from giblet.audio.processor import tr_table
    from giblet.store import load_arrays, save_arrays
    from giblet.timing import TrClock

    arrays = load_arrays(stream)
    facts = arrays.attrs
    clock, n_trs = TrClock(facts["t_r"], facts["frame_rate"], facts["framing"]), facts["n_trs"]
    grouped = group_trs(arrays["stream"].values, clock, n_trs)
    table = tr_table(clock, n_trs).set_index("tr_index").rename_axis("tr").to_xarray()
    save_arrays(table.assign(audio=(("tr", "row", "frame"), grouped)).assign_attrs(facts), trs)


def extract_video(film: Path, video: Path, config: Config) -> None:
    """A film's pictures per TR; for a sound file, an array set that says there are none."""
    import xarray as xr

    from giblet.store import fingerprint, save_arrays
    from giblet.video import extract_frames, has_pictures

    attrs = {"t_r": config.t_r, "film": film.name, "input": fingerprint(film)}
    if not has_pictures(film):
        save_arrays(xr.Dataset(attrs=attrs | {"note": "the film has no pictures"}), video)
        return
    size = config.video
    frames, seen = extract_frames(
        film, config.t_r, config.max_trs, size.n_frames, size.height, size.width
    )
    dims = ("tr", "picture", "height", "width", "rgb")
    arrays = xr.Dataset({"video": (dims, frames), "seen": (dims[:2], seen)}, attrs=attrs)
    save_arrays(arrays, video)


def embed_text(annotations: Path, text: Path, config: Config, film: Path | None = None) -> None:
    """What is said in each TR, as vectors, and where nothing is; no film: up to the last word."""
    import xarray as xr

    from giblet.annotations import read_annotations
    from giblet.audio.files import sound_duration
    from giblet.store import fingerprint, save_arrays
    from giblet.text import count_words, embed_words
    from giblet.timing import whole_trs

    said = read_annotations(annotations, **config.words.model_dump())
    duration = sound_duration(film) if film else float((said["onset"] + said["duration"]).max())
    n_trs = whole_trs(duration, config.t_r)
    features, spoken = embed_words(said, config.t_r, n_trs, duration, config.text_model)
    arrays = xr.Dataset({"text": (("tr", "feature"), features), "spoken": ("tr", spoken)})
    arrays["n_words"] = ("tr", count_words(said, config.t_r, n_trs))
    attrs = {"t_r": config.t_r, "text_model": config.text_model, "input": fingerprint(annotations)}
    save_arrays(arrays.assign_attrs(attrs | {"warnings": said.attrs["warnings"]}), text)


def simulate_bold(
    film: Path, folder: Path, config: Config, annotations: Path | None = None
) -> None:
    """SIMULATED brains that watch the film, as a BIDS derivative data set."""
    from giblet.demo.scanner import simulate_bids
    from giblet.demo.viewing import stimulus_features

    features = stimulus_features(film, annotations, config.words)
    simulate_bids(folder, *features, config.t_r, stim_file=film.name, seed=config.seed)


def load_bold(source: Path, bold: Path, config: Config) -> None:
    """Every run of every subject of a BIDS data set or of a table of runs, on the film's clock."""
    from giblet.bids import MOTION
    from giblet.bold import load_bids, load_runs
    from giblet.runs import run_files
    from giblet.store import fingerprint, save_arrays

    scan = config.scan
    options = {"high_pass_hz": scan.high_pass_hz, "parcellation": scan.parcellation}
    if source.is_file():
        arrays = load_runs(source, confounds=scan.confounds or (), **options)
        used = run_files(source)
    else:
        confounds = MOTION if scan.confounds is None else scan.confounds
        arrays, used = load_bids(source, config.task, confounds=confounds, **options), [source]
    save_arrays(arrays.assign_attrs(input=fingerprint(*used)), bold)


def convolve_hrf(features: Path, bold: Path, regressors: Path, config: Config) -> None:
    """Blur one modality's amounts by the HRF, sampled when each volume was taken."""
    from giblet.alignment.regressors import film_regressors
    from giblet.store import load_arrays, save_arrays

    film, scans = load_arrays(features), load_arrays(bold)
    path = film.attrs.get("encoding_mode")
    processor = _processor(config, path) if path else None
    arrays = film_regressors(film, scans, config.t_r, config.hrf_model, processor)
    save_arrays(arrays, regressors)


def brain_quality(
    bold: Path, quality: Path, scores: Path, config: Config, regressors: list[Path] = ()
) -> None:
    """What people share, its ceiling, and ridge from the film: maps, and a table of their means."""
    from giblet.brain_quality import brain_quality, summary_table
    from giblet.store import load_arrays, save_arrays, save_table

    film = {path.stem: load_arrays(path) for path in regressors}
    options = config.quality.model_dump() | {"seed": config.seed}
    save_arrays(found := brain_quality(load_arrays(bold), film, config.t_r, **options), quality)
    save_table(summary_table(found), scores)


def sync_align(
    audio: Path,
    video: Path,
    aligned: Path,
    config: Config,
    text: Path | None = None,
    bold: Path | None = None,
    regressors: list[Path] = (),
) -> None:
    """Film, words and scans on the film's TRs, cropped to what all cover, with their parts."""
    from giblet.aligned import align
    from giblet.store import load_arrays, save_arrays

    loaded = [load_arrays(p) for p in (audio, video, text) if p is not None]
    scans = None if bold is None else load_arrays(bold)
    blurred = [load_arrays(p) for p in regressors]
    save_arrays(align(loaded, scans, blurred, config.t_r, config.splits), aligned)


def train(aligned: Path, model: Path, logs: Path, config: Config) -> None:
    """Train the autoencoder; checkpoints and TensorBoard curves go into ``logs``."""
    import sys

    from giblet.aligned import film_data, film_shapes
    from giblet.models.autoencoder import save_autoencoder
    from giblet.store import load_arrays, load_table, replacing_folder, save_table
    from giblet.training import fit, history

    arrays = load_arrays(aligned)
    data, shapes = film_data(arrays), film_shapes(arrays, config.hrf_model)
    trained = fit(
        data, shapes, config.model, config.training, config.seed, str(logs), sys.stderr.isatty()
    )
    with replacing_folder(model) as folder:
        save_autoencoder(
            trained.autoencoder,
            folder,
            training=config.training.model_dump(),
            baselines=trained.baselines,
            best_epoch=trained.best_epoch,
            seed=config.seed,
        )
        save_table(history(load_table(logs / "metrics.csv")), folder / "history.tsv")


def reconstruct(
    film: Path, aligned: Path, model: Path, audio: Path, scores: Path, config: Config
) -> None:
    """Held-out sound through codec, bottleneck and brain: wav files and a table of scores.

    Refreshes ``scores.tsv`` beside the folder of ``scores``: the tables of all paths built so far.
    """
    from giblet.aligned import film_data
    from giblet.audio.files import read_sound, write_sound
    from giblet.evaluation import score_table
    from giblet.models.autoencoder import load_autoencoder
    from giblet.reconstruction import reconstruct
    from giblet.store import gather_tables, load_arrays, replacing_folder, save_table

    arrays = load_arrays(aligned)
    processor = _processor(config, arrays.attrs["encoding_mode"])
    sounds, rows = reconstruct(
        arrays,
        film_data(arrays),
        load_autoencoder(model),
        processor,
        read_sound(film, processor.sample_rate),
        config.decoding,
        config.seed,
    )
    with replacing_folder(audio) as folder:
        for column, waveform in sounds.items():
            write_sound(folder / f"{column}.wav", waveform, processor.sample_rate)
    save_table(score_table(processor.encoding_mode, rows), scores)
    gather_tables(scores.parent)


def report(results: Path, page: Path, config: Config) -> None:
    """One self-contained page about everything in a data set's ``results`` folder."""
    from giblet.report.page import render_page
    from giblet.report.results import load_results
    from giblet.store import gather_tables, replacing

    scores = gather_tables(results / "scores")
    sounds, sample_rate, history, facts = load_results(results, config)
    with replacing(page) as temporary:
        temporary.write_text(render_page(scores, sounds, sample_rate, history, facts))
