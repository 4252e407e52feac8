"""Symbolic music: commands of ``giblet music``, on MIDI files, without scans."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder

_N_DRAWN, _DRAWN_SECONDS = 8, 20.0  # pieces that `evaluate` draws


def check(folder: Path, /) -> None:
    """Show which MIDI files of a folder fit, and why each other one does not.

    A line for each file: notes, seconds, tokens, whether there are beats, and what was repaired.

    Example: giblet music check pieces
    """
    from giblet.music.folders import read_folder
    from giblet.music.tokens import tokenize

    found = read_folder(folder)
    n_tokens = 0
    for name, notes in found.pieces.items():
        tokens = tokenize(notes)
        n_tokens += len(tokens)
        beats = "beats" if notes.beats is not None else "no beats"
        facts = [f"{len(notes)} notes", f"{notes.end:.1f} s", f"{len(tokens)} tokens", beats]
        print(f"{name}: {', '.join([*facts, *notes.warnings])}")
    for line in found.left_out.values():
        print(f"LEFT OUT {line}")
    n_files = len(found.pieces) + len(found.left_out)
    print(f"{len(found.pieces)} of {n_files} files fit: {n_tokens} tokens")


def encode(piece: Path, tokens: OutputFile, model: str | None = None) -> None:
    """Write a MIDI file's tokens, the second at which each stands, and the beats.

    With a model of mode vae also its latents: ``fine``, ``local`` and ``global`` (segment, width).

    Example: giblet music encode --piece song.mid --tokens song.nc
    """
    from giblet.music.midi import read_midi
    from giblet.music.model import load
    from giblet.music.token_files import save_tokens

    notes = _warned(read_midi(piece), piece)
    latents = load(model).encode(notes) if model else {}
    save_tokens(notes, tokens, piece.name, latents)


def decode(tokens: Path, piece: OutputFile) -> None:
    """Write a file of tokens as MIDI.

    Onsets and ends are at most 7.8125 ms from those that were encoded.

    Example: giblet music decode --tokens song.nc --piece song.mid
    """
    from giblet.music.midi import write_midi
    from giblet.music.token_files import load_tokens

    write_midi(_warned(load_tokens(tokens), tokens), piece)


def train(
    pieces: Path, validation: Path, recipe: Path, logs: OutputFolder, model: OutputFolder
) -> None:
    """Train a music model on a folder of MIDI files.

    The recipe is a YAML file of ``giblet.music.recipe.MusicSettings``. Checkpoints go into the
    folder of logs, and the same command resumes from the last one. The model is a folder for
    ``giblet.music.load``, with half-precision weights.

    Example: giblet music train --pieces a --validation b --recipe config/music/bundled.yaml
        --logs training --model model
    """
    import sys

    from giblet.io.atomic import replacing_folder
    from giblet.io.tables import load_yaml
    from giblet.music.folders import read_folder
    from giblet.music.memorisation import TrainingIntervals
    from giblet.music.recipe import parse_recipe
    from giblet.music.trainer import fit_music, is_first_process

    settings = parse_recipe(load_yaml(recipe), str(recipe))
    train, held_out = (_folder(read_folder(place)) for place in (pieces, validation))
    learned = fit_music(
        list(train.values()), list(held_out.values()), settings, logs, sys.stderr.isatty()
    )
    if is_first_process():
        learned.training_intervals = TrainingIntervals.of(train)
        learned.facts = {"recipe": settings.model_dump(mode="json"), "n_pieces": len(train)}
        with replacing_folder(model) as folder:
            learned.half().save_pretrained(folder)


def evaluate(
    pieces: Path,
    scores: OutputFile,
    model: str = "bundled",
    training: Path | None = None,
    generated: Path | None = None,
) -> None:
    """Score a music model on a folder of MIDI files that it has not seen: a table.

    Columns: ``model metric value n``. Nats per token, note and second; with the training pieces,
    beside count models of orders 1, 2, 3 and 5. In mode vae also what the latents are worth and
    cost, by level: nats bought, KL, active units, and bounds on the nats of whole pieces. Of
    generated pieces (without ``--generated`` eight of 20 s are drawn) how much their distributions
    overlap with those of the pieces, and the longest run of intervals that each shares with
    training, beside that of the pieces themselves.

    Example: giblet music evaluate --pieces validation --training train --scores scores.tsv
    """
    import pandas as pd

    from giblet.io.tables import save_table
    from giblet.music.folders import read_folder
    from giblet.music.model import load
    from giblet.music.scoring import (
        latent_scores,
        memorisation_scores,
        overlap_scores,
        surprise_scores,
    )

    network = load(model)
    held_out = _folder(read_folder(pieces))
    learned = _folder(read_folder(training)) if training else {}
    tables = [surprise_scores(network, held_out, learned)]
    if network.latents is not None:
        tables.append(latent_scores(network, held_out))
    if generated:
        made = _folder(read_folder(generated))
    else:
        drawn = network.generate(_DRAWN_SECONDS, _N_DRAWN)
        made = {f"drawn {i}": notes for i, notes in enumerate(drawn) if len(notes)}
    tables.append(overlap_scores(list(made.values()), list(held_out.values())))
    tables.append(memorisation_scores(network, made, held_out))
    for name, notes in made.items():
        print(f"{name}: {_memorisation(network, notes)}")
    table = pd.concat(tables, ignore_index=True)
    save_table(table, scores)
    print(table.to_string(index=False, float_format="%.4g"))


def generate(
    pieces: OutputFolder,
    model: str = "bundled",
    seconds: float = 30.0,
    count: int = 1,
    primer: Path | None = None,
    primer_seconds: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 0.98,
    seed: int = 0,
) -> None:
    """Draw pieces from a music model: a folder of MIDI files.

    With a primer they go on from it, or from its first seconds. Of each piece a line is printed
    with the longest run of intervals that it shares with the music that the model learned. A piece
    without notes, as weak models draw them, is left out with a warning.

    Example: giblet music generate --pieces made --seconds 20 --count 4 --seed 1
    """
    from giblet.io.atomic import replacing_folder
    from giblet.music.midi import read_midi, write_midi
    from giblet.music.model import load
    from giblet.music.scoring import excerpt

    network = load(model)
    begin = _warned(read_midi(primer), primer) if primer else None
    if begin is not None and primer_seconds:
        begin = excerpt(begin, primer_seconds)
    made = network.generate(seconds, count, begin, temperature, top_p, seed)
    named = {f"{i:03d}.mid": notes for i, notes in enumerate(made)}
    with replacing_folder(pieces) as folder:
        for name, notes in _with_notes(named).items():
            write_midi(notes, folder / name)
            print(f"{name}: {len(notes)} notes, {notes.end:.1f} s, {_memorisation(network, notes)}")


def infill(
    piece: Path,
    filled: OutputFile,
    first_bar: int,
    last_bar: int,
    model: str = "bundled",
    candidates: int = 16,
    seed: int = 0,
) -> None:
    """Draw new notes for some bars of a piece, given what precedes and what follows.

    Bars are counted from 1 by the piece's tempo map. Candidates are drawn after what precedes, and
    one is taken by the probability of what follows it.

    Example: giblet music infill --piece song.mid --filled new.mid --first-bar 5 --last-bar 6
    """
    from giblet.music.generation import infilled
    from giblet.music.midi import read_midi, write_midi
    from giblet.music.model import load

    network, notes = load(model), _warned(read_midi(piece), piece)
    begin, end = _bar_seconds(notes, first_bar, last_bar, piece)
    made = infilled(network, notes, begin, end, candidates, seed=seed)
    write_midi(made, filled)
    print(f"{filled.name}: {begin:.1f}-{end:.1f} s are new, {_memorisation(network, made)}")


def interpolate(
    first: Path,
    second: Path,
    pieces: OutputFolder,
    model: str = "bundled",
    count: int = 5,
    seconds: float = 30.0,
    temperature: float = 1.0,
    seed: int = 0,
) -> None:
    """Draw pieces between two MIDI files, in a model's latents.

    The first and the last are drawn from the latents of the two files; the model has mode vae.

    Example: giblet music interpolate --first a.mid --second b.mid --pieces between --count 5
    """
    import numpy as np

    from giblet.music.latent_tools import interpolate_levels
    from giblet.music.midi import read_midi
    from giblet.music.model import load

    network = load(model)
    ends = [network.encode(_warned(read_midi(path), path)) for path in (first, second)]
    path = interpolate_levels(*ends, np.linspace(0, 1, count))
    _draw_path(network, path, pieces, seconds, temperature, seed)


def traverse(
    piece: Path,
    examples: Path,
    pieces: OutputFolder,
    attribute: str = "density",
    model: str = "bundled",
    count: int = 5,
    seconds: float = 30.0,
    temperature: float = 1.0,
    seed: int = 0,
) -> None:
    """Draw pieces with less and more of an attribute than a MIDI file has.

    The direction of the attribute in a model's global latents is learned from a folder of
    examples. From one end of the path to the other it leads as far as from the quarter of them
    with least to the quarter with most.
    Attributes: density, mean_pitch, mean_velocity, polyphony, majorness, rhythm_spread,
    notes_per_beat. The model has mode vae.

    Example: giblet music traverse --piece a.mid --examples pieces --pieces path
        --attribute density
    """
    import numpy as np

    from giblet.errors import GibletError, nearest_name
    from giblet.music.attributes import ATTRIBUTES, attributes_of
    from giblet.music.folders import read_folder
    from giblet.music.latent_tools import attribute_vector, traverse as moved
    from giblet.music.midi import read_midi
    from giblet.music.model import load

    if attribute not in ATTRIBUTES:
        raise GibletError(f"no attribute {attribute!r}{nearest_name(attribute, list(ATTRIBUTES))}")
    network = load(model)
    z = network.encode(_warned(read_midi(piece), piece))
    known = _folder(read_folder(examples)).values()
    means = np.stack([network.encode(notes)["global"].mean(axis=0) for notes in known])
    amounts = np.array([attributes_of(notes)[attribute] for notes in known])
    direction = attribute_vector(means, amounts)
    globals_ = moved(z["global"], direction, np.linspace(-0.5, 0.5, count))
    path = [{**z, "global": each.astype(np.float32)} for each in globals_]
    _draw_path(network, path, pieces, seconds, temperature, seed)


def render(piece: Path, sound: OutputFile) -> None:
    """Write a MIDI file as sound, by a plain additive synthesiser.

    Example: giblet music render --piece song.mid --sound song.wav
    """
    from giblet.audio.files import write_sound
    from giblet.music.midi import read_midi
    from giblet.music.synth import SAMPLE_RATE, synthesize

    write_sound(sound, synthesize(_warned(read_midi(piece), piece)), SAMPLE_RATE)


def _folder(found) -> dict:
    """The pieces of a folder; what was left out is logged."""
    import logging

    level = logging.WARNING if found.left_out else logging.INFO
    logging.getLogger("giblet.music").log(level, "%s", found.summary)
    return dict(found.pieces)


def _warned(notes, path: Path):
    """The notes; what was left out or repaired as they were read is logged."""
    import logging

    for warning in notes.warnings:
        logging.getLogger("giblet.music").warning("%s: %s", path, warning)
    return notes


def _memorisation(network, notes) -> str:
    """A line on what a piece repeats of the music that ``network`` learned."""
    if network.training_intervals is None:
        return "memorisation unknown: the model has no intervals of its training"
    return str(network.training_intervals.longest_run(notes))


def _draw_path(network, path: list, folder: Path, seconds, temperature, seed) -> None:
    """A piece for each z of a path, all with the same random numbers, as MIDI files."""
    from giblet.io.atomic import replacing_folder
    from giblet.log import progress
    from giblet.music.attributes import attributes_of
    from giblet.music.midi import write_midi

    made = {}
    for i, z in enumerate(progress(path, "drawing", "pieces")):
        (notes,) = network.generate(seconds, 1, temperature=temperature, seed=seed, z=z)
        made[f"{i:03d}.mid"] = notes
    with replacing_folder(folder) as temporary:
        for name, notes in _with_notes(made).items():
            write_midi(notes, temporary / name)
            amounts = ", ".join(f"{k} {value:.3g}" for k, value in attributes_of(notes).items())
            print(f"{name}: {amounts}, {_memorisation(network, notes)}")


def _with_notes(made: dict) -> dict:
    """The pieces that have notes; the others are named in a warning. GibletError if none has."""
    import logging

    from giblet.errors import GibletError

    silent = [name for name, notes in made.items() if not len(notes)]
    if len(silent) == len(made):
        raise GibletError(
            "the model drew no notes, only rests: give more --seconds or another --seed, or train "
            "it for longer"
        )
    for name in silent:
        logging.getLogger("giblet.music").warning("%s: no notes were drawn; left out", name)
    return {name: notes for name, notes in made.items() if len(notes)}


def _bar_seconds(notes, first_bar: int, last_bar: int, path: Path) -> tuple[float, float]:
    """Seconds at which ``first_bar`` begins and ``last_bar`` ends; else GibletError."""
    from giblet.errors import GibletError

    if notes.beats is None:
        raise GibletError(f"{path}: has no tempo map: its bars are unknown")
    bars = notes.beats.seconds[notes.beats.in_bar == 0]
    if not 1 <= first_bar <= last_bar < len(bars):
        raise GibletError(
            f"{path}: bars {first_bar} to {last_bar} are not among its bars 1 to {len(bars) - 1}"
        )
    return float(bars[first_bar - 1]), float(bars[last_bar])
