"""Commands for the score of a film's music: its notes on the film's clock, its features in TRs."""

from pathlib import Path
from typing import Any

from giblet.commands.option_help import OutputFile, OutputFolder
from giblet.config.config import Config

_KNOWN = 40  # intervals in a row that other music hardly shares: among validation pieces 20 at most


def read_score(film: Path, score: Path, notes: OutputFile, config: Config) -> None:
    """Read a score (MIDI, MusicXML), and compare its clock with the sound's.

    The file has the notes, their tokens and the beats. Attributes have the lag of the sound behind
    the score in ms, its correlation, its p-value among circular shifts of the score (of many scores
    among other orders of them), and the lag's drift. Nothing is moved: ``score_offset`` does that.
    Of several pieces in a film the score is a table (.tsv, .csv: file, onset, duration,
    score_offset, name), of many stimuli their own, which names one for each.

    Example: giblet read_score --film film.mp4 --score film.mid --notes score.nc
    """
    import logging

    from giblet.audio.files import sound_blocks, sound_duration
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.io.arrays import save_arrays
    from giblet.io.checksums import fingerprint
    from giblet.music import score_files, score_sync
    from giblet.music.pieces import Pieces, is_table_of_scores, read_pieces
    from giblet.music.stimulus_scores import (
        common_lag,
        early_ends,
        fit_warnings,
        join_scores,
        piece_fits,
        piece_lags,
        piece_warnings,
        same_music,
        scores_apart,
    )
    from giblet.timing import whole_trs

    clock = StimulusClock.read(score, config.t_r) if config.has_stimuli else None
    offset = config.score_offset
    pieces = Pieces.of_clock(clock, offset) if clock else None
    if pieces is None and is_table_of_scores(score):
        pieces = read_pieces(score, offset)
    piece = join_scores(pieces) if pieces else score_files.read_score(score)
    moved = 0.0 if pieces else offset  # in the file, and still to be added
    seconds = sound_duration(film, config.audio_track)
    n_trs = whole_trs(seconds, config.t_r)
    blocks = sound_blocks(film, score_sync.SAMPLE_RATE, track=config.audio_track)
    envelope = score_sync.onset_envelope(blocks)
    density = score_sync.onset_density(piece, len(envelope), moved)
    alone = score_sync.score_lag
    heard = (piece, envelope, pieces)
    lag = common_lag(*heard, config.seed) if pieces else alone(density, envelope)
    end = piece.end + moved
    length = f"the score ends at {end:.1f} s, the sound at {seconds:.1f} s"
    logging.getLogger(__name__).info("%s; %s", score_sync.lag_sentence(lag), length)
    attrs: dict[str, Any] = {"score": score.name, "film": film.name, "t_r": config.t_r}
    attrs |= {"n_trs": min(n_trs, config.max_trs or n_trs), "score_offset": moved}
    files = [Path(path) for path in dict.fromkeys(pieces.scores) if path] if pieces else []
    attrs |= {"input": fingerprint(score, *files), "film_input": fingerprint(film)}
    attrs |= {"score_end": end, "film_end": seconds} | score_sync.lag_facts(lag)
    warnings = [f"{score.name}: {line}" for line in piece.warnings]
    warnings += score_sync.lag_warnings(lag, offset)
    warnings += score_sync.length_warnings(piece, seconds, moved)
    warnings += early_ends(piece.moved(moved), seconds, pieces)
    arrays = score_files.score_arrays(piece)
    if pieces:
        lags, fits = piece_lags(*heard), piece_fits(*heard, lag, config.seed)
        warnings += piece_warnings(lags, pieces, lag) + fit_warnings(fits, pieces, lags)
        music = same_music(scores_apart(piece, pieces), pieces)
        arrays = arrays.assign_coords((clock or pieces).coordinates())
        arrays = arrays.assign_coords({f"{pieces.kind}_music": (pieces.kind, music)})
        if fits:
            of_each = {"r": fits.r, "others": fits.others, "wrong": fits.wrong}
            own = {f"{pieces.kind}_score_{name}": (pieces.kind, r) for name, r in of_each.items()}
            arrays = arrays.assign_coords(own)
    save_arrays(arrays.assign_attrs(attrs, warnings=warnings), notes)


def score_features(score: Path, trs: OutputFile, notes: OutputFile, config: Config) -> None:
    """Compute features of a score in TRs, and of each note.

    In TRs a piano roll for the model, and feature spaces for linear models. Values of a TR come
    from the notes in it. Features that know the future (latents) are marked. Of many stimuli each
    is heard alone.

    Example: giblet score_features --score score.nc --trs trs/score.nc --notes notes.tsv
    """
    import pandas as pd

    from giblet.io.arrays import open_arrays, save_arrays
    from giblet.io.tables import save_table
    from giblet.music import score_files, score_trs
    from giblet.music.pieces import Pieces
    from giblet.music.score_features import note_features
    from giblet.music.stimulus_scores import pieces_on_trs, scores_apart

    piece, facts = score_files.load_score(score)
    t_r, offset, n_trs = float(facts["t_r"]), float(facts["score_offset"]), int(facts["n_trs"])
    with open_arrays(score) as saved:
        pieces = Pieces.of_arrays(saved)
    ngrams, known = _ngrams(config, piece)
    listen = _listener(config, ngrams)
    if pieces:
        apart = scores_apart(piece, pieces)
        arrays, table = pieces_on_trs(apart, pieces, t_r, n_trs, listen)
        if pieces.kind == "piece":  # sync_align holds out whole ones
            arrays = arrays.assign_coords(pieces.coordinates())
        if pieces.music is not None:  # sync_align warns of what trains and is tested
            arrays = arrays.assign_coords({f"{pieces.kind}_music": (pieces.kind, pieces.music)})
    else:
        listening = listen(piece)
        arrays = score_trs.score_on_trs(listening, t_r, n_trs, offset)
        columns = {"onset": piece.onset + offset, "duration": piece.duration, "pitch": piece.pitch}
        table = pd.DataFrame(columns).join(note_features(listening))
    kept = ("t_r", "film", "score", "input", "score_offset", "warnings")
    kept += ("score_lag_ms", "score_r", "score_p", "score_drift_ms")
    models = {"music_model": config.music.model, "latent_model": config.music.latent_model}
    models["ngram_memory"] = ngrams.memory
    attrs = arrays.attrs | {name: facts[name] for name in kept if name in facts} | models
    attrs["warnings"] = [*_logged(facts), *known]
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

    ``--music`` holds a MIDI file and its sound for every column, one held-out TR after the other,
    and ``by_piece.tsv``, the scores of each of several pieces or stimuli.
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
    from giblet.commands.held_out_music import (
        aligned_score,
        held_out_music,
        latent_model,
        score_code,
        score_pieces,
    )
    from giblet.evaluation.piece_scores import piece_table
    from giblet.evaluation.score_reconstruction import reconstruct_score, score_columns_table
    from giblet.io.arrays import load_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table
    from giblet.music.midi import write_midi

    arrays = load_arrays(aligned, *ALIGNED)
    piece = aligned_score(score, aligned, arrays)
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    processor = AudioProcessor.from_config(config, "mel")
    rate = processor.sample_rate
    wave = film_sound(film, arrays, rate, config.audio_track)
    pieces = score_pieces(score)
    held = held_out_music(piece, arrays, data, wave, processor, config, pieces)
    held.check()
    code = score_code(held, autoencoder, latent_model(config))
    asked = config.decoding.region and "bold" in arrays
    named = find_regions(arrays, regions) if asked else None
    path = arrays.attrs["encoding_mode"]
    notes, rows = reconstruct_score(held, code, config.decoding, config.seed, named)
    with replacing_folder(music) as folder:
        for column, one in notes.items():
            if len(one):
                write_midi(one, folder / f"{column}.mid")
            else:
                logging.getLogger(__name__).warning("%s: no note was decoded, no .mid", column)
            write_sound(folder / f"{column}.wav", held.rendered(one), rate)
        of_pieces = piece_table(path, rows)
        if len(of_pieces):
            save_table(of_pieces, folder / "by_piece.tsv")
    save_table(score_columns_table(path, rows), scores)


def _ngrams(config: Config, piece):
    """The n-grams that the config names, and a line where they have learned the piece itself."""
    from giblet.music.folders import read_folder
    from giblet.music.memorisation import TrainingIntervals
    from giblet.music.ngrams import NgramModel

    memory = None if config.music.ngram_memory == "auto" else config.music.ngram_memory
    if config.music.known_pieces == "none":
        return NgramModel(memory=memory), []
    known = read_folder(config.music.known_pieces)
    shared = TrainingIntervals.of(known.pieces).longest_run(piece)
    line = (
        f"music.known_pieces: {shared.n_intervals} intervals in a row of the score are in "
        f"{shared.source}: do n-grams know this music already?"
    )
    lines = [known.summary] * bool(known.left_out) + [line] * (shared.n_intervals >= _KNOWN)
    return NgramModel(list(known.pieces.values()), memory=memory), lines


def _listener(config: Config, ngrams):
    """Pieces → pieces with the models that the config names, each heard alone."""
    from giblet.commands.held_out_music import latent_model, music_model
    from giblet.music.score_features import Listening

    model = music_model("music.model", config.music.model, ("transformer",))
    latents = latent_model(config)
    contexts = () if model is None else config.music.contexts
    return lambda piece: Listening(piece, model, ngrams, latents, contexts)


def _logged(facts: dict) -> list[str]:
    from giblet.log import warnings_of

    return warnings_of(facts)
