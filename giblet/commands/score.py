"""Commands for the score of a film's music: its notes on the film's clock, its features in TRs."""

from pathlib import Path
from typing import Any

from giblet.commands.option_help import OutputFile, OutputFolder
from giblet.config.config import Config


def read_score(film: Path, score: Path, notes: OutputFile, config: Config) -> None:
    """Read a score (MIDI, MusicXML), and compare its clock with the sound's.

    The file has the notes, their tokens and the beats. Attributes have the lag of the sound behind
    the score in ms, its correlation, its p-value among circular shifts of the score, and the lag's
    drift. Nothing is moved: ``score_offset`` does that. Of many stimuli the score is their table,
    which names one for each.

    Example: giblet read_score --film film.mp4 --score film.mid --notes score.nc
    """
    import logging

    from giblet.audio.files import sound_blocks, sound_duration
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.music import score_files, score_sync
    from giblet.music.stimulus_scores import join_scores, misfit_warnings, misfits
    from giblet.timing import whole_trs

    clock = StimulusClock.read(score, config.t_r) if config.has_stimuli else None
    offset = config.score_offset
    piece = join_scores(clock, offset) if clock else score_files.read_score(score)
    moved = 0.0 if clock else offset  # in the file, and still to be added
    seconds = sound_duration(film, config.audio_track)
    n_trs = whole_trs(seconds, config.t_r)
    blocks = sound_blocks(film, score_sync.SAMPLE_RATE, track=config.audio_track)
    envelope = score_sync.onset_envelope(blocks)
    density = score_sync.onset_density(piece, len(envelope), moved)
    lag = score_sync.score_lag(density, envelope)
    end = piece.end + moved
    length = f"the score ends at {end:.1f} s, the sound at {seconds:.1f} s"
    logging.getLogger(__name__).info("%s; %s", score_sync.lag_sentence(lag), length)
    attrs: dict[str, Any] = {"score": score.name, "film": film.name, "t_r": config.t_r}
    attrs |= {"n_trs": min(n_trs, config.max_trs or n_trs), "score_offset": moved}
    files = [Path(path) for path in dict.fromkeys(clock.scores) if path] if clock else []
    attrs |= {"input": fingerprint(score, *files), "film_input": fingerprint(film)}
    attrs |= {"score_end": end, "film_end": seconds} | score_sync.lag_facts(lag)
    warnings = [f"{score.name}: {line}" for line in piece.warnings]
    warnings += score_sync.lag_warnings(lag, offset)
    warnings += score_sync.length_warnings(piece, seconds, moved)
    arrays = score_files.score_arrays(piece)
    if clock:
        warnings += misfit_warnings(misfits(piece, envelope, clock))
        arrays = arrays.assign_coords(clock.coordinates())
    save_arrays(arrays.assign_attrs(attrs, warnings=warnings), notes)


def score_features(score: Path, trs: OutputFile, notes: OutputFile, config: Config) -> None:
    """Compute features of a score in TRs, and of each note.

    In TRs a piano roll for the model, and feature spaces for linear models. Values of a TR come
    from the notes in it. Features that know the future (latents) are marked. Of many stimuli each
    is heard alone.

    Example: giblet score_features --score score.nc --trs trs/score.nc --notes notes.tsv
    """
    import pandas as pd

    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.io.arrays import open_arrays, save_arrays
    from giblet.io.tables import save_table
    from giblet.music import score_files, score_trs
    from giblet.music.score_features import note_features
    from giblet.music.stimulus_scores import scores_apart, stimuli_on_trs

    piece, facts = score_files.load_score(score)
    t_r, offset, n_trs = float(facts["t_r"]), float(facts["score_offset"]), int(facts["n_trs"])
    with open_arrays(score) as saved:
        clock = StimulusClock.of_scans(saved)
    listen = _listener(config)
    if clock:
        arrays, table = stimuli_on_trs(scores_apart(piece, clock), clock, n_trs, listen)
    else:
        listening = listen(piece)
        arrays = score_trs.score_on_trs(listening, t_r, n_trs, offset)
        columns = {"onset": piece.onset + offset, "duration": piece.duration, "pitch": piece.pitch}
        table = pd.DataFrame(columns).join(note_features(listening))
    kept = ("t_r", "film", "score", "input", "score_offset", "warnings")
    kept += ("score_lag_ms", "score_r", "score_p", "score_drift_ms")
    models = {"music_model": config.music.model, "latent_model": config.music.latent_model}
    attrs = arrays.attrs | {name: facts[name] for name in kept if name in facts} | models
    save_arrays(arrays.assign_attrs(attrs), trs, logged_before=_logged(facts))
    save_table(table, notes)


def reconstruct_score(
    film: Path,
    aligned: Path,
    score: Path,
    model: Path,
    music: OutputFolder,
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
) -> None:
    """Reconstruct notes of held-out music from latents and brain; score them.

    ``--music`` holds a MIDI file and its sound for every column, one held-out TR after the other.
    With ``music.latent_model`` BOLD is decoded as its latents; without one as the bottleneck of
    ``--model``, which reads out a piano roll. ``--regions`` is for ``decoding.region``.

    Example: giblet reconstruct_score --film film.mp4 --aligned mel.nc --score score.nc
        --model model --music music --scores music.tsv
    """
    import logging

    from giblet.alignment.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError
    from giblet.evaluation.brain_scores import film_stretch
    from giblet.evaluation.score_codes import LatentCode, RollCode
    from giblet.evaluation.score_reconstruction import (
        HeldOutScore,
        reconstruct_score,
        score_columns_table,
    )
    from giblet.io.arrays import load_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table
    from giblet.music.midi import write_midi
    from giblet.music.score_files import load_score

    arrays = load_arrays(aligned, *ALIGNED)
    piece, facts = load_score(score)
    t_r, trs = float(arrays.attrs["t_r"]), arrays["tr"].values
    if facts.get("film_input") != arrays.attrs.get("input"):
        raise GibletError(
            f"{score}: the score was read for {facts.get('film', 'another film')}, and {aligned} "
            f"is of {arrays.attrs.get('film', 'another film')}: run read_score and sync_align again"
        )
    if int(facts["n_trs"]) <= trs[-1]:
        raise GibletError(
            f"{score}: the score is laid out over {facts['n_trs']} TRs, and {aligned} goes up to "
            f"TR {trs[-1]}: run read_score again"
        )
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    processor = AudioProcessor.from_config(config, "mel")
    rate = processor.sample_rate
    wave = film_sound(film, arrays, rate, config.audio_track)
    held = HeldOutScore(
        piece.moved(float(facts["score_offset"])),
        film_stretch(wave, trs[data.where("test")], processor),
        rate,
        data,
        trs,
        t_r,
        config.decoding.clip_seconds,
    )
    held.check()
    latents = _loaded("music.latent_model", config.music.latent_model, ("vae", "vae_gan"))
    if latents is None:
        logging.getLogger(__name__).info(
            "music.latent_model is none: BOLD is decoded as the model's bottleneck, which reads "
            "out a piano roll; there are no levels of latents"
        )
        code = RollCode(autoencoder, data, t_r)
    else:
        code = LatentCode(latents, held.piece, data, trs, t_r)
    asked = config.decoding.region and "bold" in arrays
    named = find_regions(arrays, regions) if asked else None
    notes, rows = reconstruct_score(held, code, config.decoding, config.seed, named)
    with replacing_folder(music) as folder:
        for column, one in notes.items():
            if len(one):
                write_midi(one, folder / f"{column}.mid")
            else:
                logging.getLogger(__name__).warning("%s: no note was decoded, no .mid", column)
            write_sound(folder / f"{column}.wav", held.rendered(one), rate)
    save_table(score_columns_table(arrays.attrs["encoding_mode"], rows), scores)


def _listener(config: Config):
    """Pieces → pieces with the models that the config names; n-grams learn from each alone."""
    from giblet.music.ngrams import NgramModel
    from giblet.music.score_features import Listening

    model = _loaded("music.model", config.music.model, ("transformer",))
    latent_model = _loaded("music.latent_model", config.music.latent_model, ("vae", "vae_gan"))
    contexts = () if model is None else config.music.contexts
    return lambda piece: Listening(piece, model, NgramModel(), latent_model, contexts)


def _loaded(key: str, name: str, modes: tuple[str, ...]):
    """The music model that the config names by ``key``; None for none."""
    from giblet.errors import GibletError
    from giblet.music.model import load

    if name == "none":
        return None
    if (model := load(name)).mode not in modes:
        raise GibletError(f"{key} {name}: a model of mode {model.mode}, not {' or '.join(modes)}")
    return model


def _logged(facts: dict) -> list[str]:
    from giblet.log import warnings_of

    return warnings_of(facts)
