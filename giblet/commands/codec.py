"""Train and use codecs: commands of ``giblet codec``, which need no data set."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder


def train(
    sounds: Path, validation: Path, recipe: Path, logs: OutputFolder, codec: OutputFolder
) -> None:
    """Train a codec on folders of audio files, one per kind (speech, music, effects).

    The recipe is a YAML file of ``giblet.codec_training.recipe.CodecSettings``. Checkpoints go into
    the folder of logs, and the same command resumes from the last one. The codec is a folder for
    ``load_codec`` (architectures mdct, encodec, snake), with half-precision weights.

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
    sounds: list[Path], scores: OutputFile, codec: str = "bundled", kbps: float = 6.0
) -> None:
    """Score audio files that are coded and decoded: a table.

    Columns: ``sound codec kbps metric value low high n n_failed``. ``kbps`` is a bandwidth of the
    codec; ``n_failed`` counts segments that are too short or silent for a metric.

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
    coder = load_codec(codec, kbps)
    tables = []
    for path in sounds:
        sound = read_sound(path, coder.sample_rate)
        estimate = coder.decode(coder.encode(sound))[: len(sound)]
        table = score_sound(sound, estimate, coder.sample_rate)
        tables.append(table.assign(sound=path.name, codec=codec, kbps=kbps))
    table = pd.concat(tables, ignore_index=True)
    save_table(table[["sound", "codec", "kbps", *table.columns[:-3]]], scores)


def compress(
    sound: Path,
    codes: OutputFile,
    codec: str = "bundled",
    kbps: float = 6.0,
    audio_track: str = "",
) -> None:
    """Compress a film's sound or a recording to a small file of codes.

    Each code takes 10 bits with 1024 codebook entries.

    Example: giblet codec compress --sound film.mp4 --codes film.nc
    """
    import numpy as np
    import xarray as xr

    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.files import read_sound
    from giblet.audio.quantized_mel import bits_for, pack_bits
    from giblet.io.arrays import save_arrays

    coder = load_codec(codec, kbps)
    waveform = read_sound(sound, coder.sample_rate, audio_track or None)
    frames = coder.encode(waveform)  # (n_codebooks, n_frames)
    packed = pack_bits(frames, bits_for(coder.codebook_size))
    facts = {
        "codec": codec,
        "codec_revision": coder.revision,
        "bandwidth_kbps": float(kbps),
        "n_codebooks": len(frames),
        "n_frames": frames.shape[1],
        "n_samples": len(waveform),
    }
    arrays = xr.Dataset({"packed": ("byte", np.frombuffer(packed, np.uint8))}, attrs=facts)
    save_arrays(arrays, codes)


def decompress(codes: Path, sound: OutputFile) -> None:
    """Decode a file of ``giblet codec compress`` to audio (.wav or .flac).

    Example: giblet codec decompress --codes film.nc --sound film.wav
    """
    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.files import write_sound
    from giblet.errors import GibletError
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import CODES

    arrays = load_arrays(codes, *CODES)
    facts = arrays.attrs
    coder = load_codec(facts["codec"], facts["bandwidth_kbps"])
    if coder.revision != facts["codec_revision"]:
        raise GibletError(
            f"{codes}: written with other weights of {facts['codec']} "
            f"({facts['codec_revision']}, here {coder.revision}): it would decode to noise"
        )
    frames, n_samples = _unpacked(arrays, coder, codes)
    write_sound(sound, coder.decode(frames)[:n_samples], coder.sample_rate)


def _unpacked(arrays, coder, path: Path):
    """Codes (n_codebooks, n_frames) of a file and the samples of their sound; or GibletError."""
    from giblet.audio.quantized_mel import bits_for, unpack_bits
    from giblet.errors import GibletError

    shape = int(arrays.attrs["n_codebooks"]), int(arrays.attrs["n_frames"])
    n_samples, packed = int(arrays.attrs["n_samples"]), arrays["packed"].values
    n_bits = bits_for(coder.codebook_size)
    n_bytes = -(-coder.n_codebooks * shape[1] * n_bits // 8)
    fits = (shape[0], packed.shape) == (coder.n_codebooks, (n_bytes,)) and packed.dtype == "u1"
    if not fits or not 0 < n_samples <= shape[1] * coder.hop_length:
        raise GibletError(
            f"{path}: {n_samples} samples in {shape} codes do not fit to {packed.shape} "
            f"{packed.dtype} of this codec; compress the sound again"
        )
    return unpack_bits(packed.tobytes(), n_bits, shape), n_samples
