"""Train and use codecs: commands of ``giblet codec``, which need no data set."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder


def train(
    sounds: Path, validation: Path, recipe: Path, logs: OutputFolder, codec: OutputFolder
) -> None:
    """Train a codec on folders of audio files, one per kind (speech, music, effects).

    The recipe is a YAML file of ``giblet.codec_training.recipe.CodecSettings``. Checkpoints go into
    the folder of logs, and the same command resumes from the last one. The codec is a folder for
    ``load_codec``, whatever the architecture, with half-precision weights.

    Example: giblet codec train --sounds a --validation b --recipe config/codec/bundled.yaml
        --logs training --codec codec
    """
    import sys

    from giblet.audio.codecs.codec import codec_folder
    from giblet.codec_training.data import read_sounds
    from giblet.codec_training.recipe import parse_recipe
    from giblet.codec_training.registry import load_network
    from giblet.codec_training.trainer import fit_codec
    from giblet.io.atomic import replacing_folder
    from giblet.io.checksums import write_sums
    from giblet.io.tables import load_yaml

    settings = parse_recipe(load_yaml(recipe), str(recipe))
    rate = settings.network.sample_rate
    train, held_out = (read_sounds(part, settings.kinds, rate) for part in (sounds, validation))
    start = None
    if settings.start_from:
        start = load_network(codec_folder(settings.start_from), settings.network)
    network = fit_codec(train, held_out, settings, str(logs), start, sys.stderr.isatty())
    with replacing_folder(codec) as folder:
        network.save(folder, half=True)
        write_sums(folder, [file.name for file in folder.iterdir()])


def evaluate(
    sounds: list[Path],
    scores: OutputFile,
    codec: str = "bundled",
    kbps: float = 6.0,
    codebooks: int = 0,
) -> None:
    """Score audio files that are coded and decoded: a table.

    Columns: ``sound codec kbps metric value low high n n_failed``. ``codebooks``: their number,
    instead of ``kbps``; of either the nearest that the codec offers is taken, and is in the
    table. ``n_failed`` counts segments that are too short or silent for a metric.

    Example: giblet codec evaluate --sounds one.wav two.flac --scores scores.tsv --kbps 3
    """
    import pandas as pd

    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.files import read_sound
    from giblet.audio.metrics.scores import score_sound
    from giblet.errors import GibletError
    from giblet.io.tables import save_table

    if not sounds:
        raise GibletError("no sounds: name at least one after --sounds")
    coder = load_codec(codec, kbps, codebooks or None)
    tables = []
    for path in sounds:
        sound = read_sound(path, coder.sample_rate)
        estimate = coder.decode(coder.encode(sound))[: len(sound)]
        table = score_sound(sound, estimate, coder.sample_rate)
        tables.append(table.assign(sound=path.name, codec=codec, kbps=coder.bandwidth_kbps))
    table = pd.concat(tables, ignore_index=True)
    save_table(table[["sound", "codec", "kbps", *table.columns[:-3]]], scores)


def compress(
    sound: Path,
    codes: OutputFile,
    codec: str = "bundled",
    kbps: float = 6.0,
    codebooks: int = 0,
    audio_track: str = "",
) -> None:
    """Compress a film's sound or a recording to a small file of codes.

    Each code takes 10 bits with 1024 codebook entries; all else some 40 bytes. ``codebooks``:
    their number, instead of ``kbps``; of either the nearest that the codec offers is taken.

    Example: giblet codec compress --sound film.mp4 --codes film.codes
    """
    from giblet.audio.code_files import CompressedSound, to_bytes
    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.files import read_sound
    from giblet.io.atomic import replacing

    coder = load_codec(codec, kbps, codebooks or None)
    waveform = read_sound(sound, coder.sample_rate, audio_track or None)
    compressed = CompressedSound(
        codec, coder.revision, coder.codebook_size, len(waveform), coder.encode(waveform)
    )
    with replacing(codes) as temporary:
        temporary.write_bytes(to_bytes(compressed))


def decompress(codes: Path, sound: OutputFile) -> None:
    """Decode a file of ``giblet codec compress`` to audio (.wav or .flac).

    Example: giblet codec decompress --codes film.codes --sound film.wav
    """
    from giblet.audio.code_files import from_bytes, is_compressed
    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.files import write_sound
    from giblet.errors import GibletError
    from giblet.io.paths import check_file

    content = check_file(codes).read_bytes()
    compressed = from_bytes(content, codes) if is_compressed(content) else _read_netcdf(codes)
    coder = load_codec(compressed.codec, codebooks=len(compressed.codes))
    if coder.revision != compressed.revision:
        raise GibletError(
            f"{codes}: written with other weights of {compressed.codec} "
            f"({compressed.revision}, here {coder.revision}): it would decode to noise"
        )
    _check_sizes(compressed, coder, codes)
    waveform = coder.decode(compressed.codes)[: compressed.n_samples]
    write_sound(sound, waveform, coder.sample_rate)


def _check_sizes(compressed, coder, path: Path) -> None:
    """GibletError where codes, or the samples of their sound, are not of this codec."""
    from giblet.errors import GibletError

    (n_codebooks, n_frames), n_samples = compressed.codes.shape, compressed.n_samples
    most = n_frames * coder.hop_length
    fits = n_codebooks == coder.n_codebooks and compressed.codebook_size == coder.codebook_size
    if not fits or not 0 < n_samples <= most:
        raise GibletError(
            f"{path}: {n_samples} samples in codes {(n_codebooks, n_frames)} of "
            f"{compressed.codebook_size} do not fit to this codec; compress the sound again"
        )


def _read_netcdf(path: Path):
    """The same from a file as giblet 0.1 wrote it."""
    from giblet.audio.code_files import CompressedSound
    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.quantized_mel import bits_for, unpack_bits
    from giblet.errors import GibletError
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import CODES

    arrays = load_arrays(path, *CODES)
    facts, packed = arrays.attrs, arrays["packed"].values
    coder = load_codec(facts["codec"], facts["bandwidth_kbps"])
    shape, size = (int(facts["n_codebooks"]), int(facts["n_frames"])), coder.codebook_size
    n_bytes = -(-coder.n_codebooks * shape[1] * bits_for(size) // 8)
    fits = (shape[0], packed.shape) == (coder.n_codebooks, (n_bytes,)) and packed.dtype == "u1"
    if not fits:
        raise GibletError(
            f"{path}: codes {shape} do not fit to {packed.shape} {packed.dtype} of this codec; "
            "compress the sound again"
        )
    codes = unpack_bits(packed.tobytes(), bits_for(size), shape)
    revision, n_samples = facts["codec_revision"], int(facts["n_samples"])
    return CompressedSound(facts["codec"], revision, size, n_samples, codes)
