"""The verbs of the codec lab: like those of ``giblet.verbs``, but part of no data set."""

from pathlib import Path


def train_codec(sounds: Path, validation: Path, recipe: Path, logs: Path, codec: Path) -> None:
    """Train a codec on folders of sounds, one folder a kind (speech, music, effects).

    ``recipe`` is a YAML file of ``giblet.codec.settings.CodecSettings``. Checkpoints go into
    ``logs``; the same command goes on from the last one. ``codec`` becomes a folder that
    ``EncodecModel.from_pretrained`` loads, with half-precision weights.
    """
    import sys

    from giblet.audio.codec import load_codec
    from giblet.codec.data import read_sounds
    from giblet.codec.settings import parse_recipe
    from giblet.codec.trainer import fit_codec
    from giblet.store import load_yaml, replacing_folder

    settings = parse_recipe(load_yaml(recipe), str(recipe))
    train, held_out = (read_sounds(folder, settings.kinds) for folder in (sounds, validation))
    start = (
        settings.start_from
        and load_codec(settings.start_from, settings.target_bandwidths[-1]).model
    )
    model = fit_codec(train, held_out, settings, str(logs), start or None, sys.stderr.isatty())
    with replacing_folder(codec) as folder:
        model.half().save_pretrained(folder)
