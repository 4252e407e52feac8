"""Commands for the folds of a data set: readouts of the film's features, and scores over folds."""

from pathlib import Path

from giblet.commands.option_help import OutputFile
from giblet.config.config import Config


def decode_features(
    aligned: Path,
    features: list[Path],
    scores: OutputFile,
    config: Config,
    regions: Path | None = None,
) -> None:
    """Decode the film's own features from BOLD, without any network, and score them.

    ``--regions`` is for ``decoding.region``.

    Example: giblet decode_features --aligned fold_1.nc --features trs/mel.nc --scores fold_1.tsv
    """
    from giblet.alignment.aligned import film_data
    from giblet.audio.processor import AudioProcessor
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError
    from giblet.evaluation.feature_decoding import decode_features, feature_spaces
    from giblet.film.modalities import feature_names
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    if "bold" not in arrays:
        raise GibletError(f"{aligned}: has no scans: features are decoded from BOLD")
    trs, spaces = arrays["tr"].values, {}
    for path in features:
        film = load_arrays(path, *feature_names(), or_nothing=True)
        mode = film.attrs.get("encoding_mode")
        processor = AudioProcessor.from_config(config, mode) if mode else None
        spaces |= feature_spaces(film, path.stem, config.t_r, processor)
    here = {name: values[trs] for name, values in spaces.items()}
    named = find_regions(arrays, regions) if config.decoding.region else None
    options = (config.t_r, config.decoding, config.seed, named)
    save_table(decode_features(here, film_data(arrays), *options), scores)


def fold_scores(tables: list[Path], scores: OutputFile, config: Config) -> None:
    """Join the scores of all folds: means over folds, with intervals.

    Example: giblet fold_scores --tables folds/1/scores/mel.tsv folds/2/scores/mel.tsv
        --scores folds/mel.tsv
    """
    import logging

    from giblet.evaluation.fold_scores import join_folds
    from giblet.io.tables import load_table, save_table

    save_table(join_folds([load_table(table) for table in tables]), scores)
    if config.splits.refit == "readout":
        logging.getLogger(__name__).info(
            "splits.refit is readout: scores of the network (bottleneck, codes, sound) are left "
            "out, as it was trained on seconds of other folds; network trains it in each fold"
        )
