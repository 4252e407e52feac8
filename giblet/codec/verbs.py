"""The verbs of the codec lab: like those of ``giblet.verbs``, but part of no data set."""

from pathlib import Path


def train_codec(sounds: Path, validation: Path, recipe: Path, logs: Path, codec: Path) -> None:
    """Train a codec on folders of sounds, one folder a kind (speech, music, effects).

    ``recipe`` is a YAML file of ``giblet.codec.settings.CodecSettings``. Checkpoints go into
    ``logs``; the same command goes on from the last one. ``codec`` becomes a folder that
    ``load_codec`` takes (architectures encodec and snake), with half-precision weights.
    """
    import sys

    from giblet.audio.codec import codec_folder
    from giblet.codec.architectures import NETWORKS
    from giblet.codec.data import read_sounds
    from giblet.codec.settings import parse_recipe
    from giblet.codec.trainer import fit_codec
    from giblet.store import load_yaml, replacing_folder

    settings = parse_recipe(load_yaml(recipe), str(recipe))
    rate = settings.network.sample_rate
    train, held_out = (read_sounds(part, settings.kinds, rate) for part in (sounds, validation))
    start = None
    if settings.start_from:
        network = NETWORKS[settings.network.architecture]
        start = network.load(codec_folder(settings.start_from), settings.network)
    network = fit_codec(train, held_out, settings, str(logs), start, sys.stderr.isatty())
    with replacing_folder(codec) as folder:
        network.save(folder, half=True)
