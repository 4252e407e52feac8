"""The verb that trains without each subject in turn."""

from pathlib import Path

from giblet.config import Config


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

    from giblet.contents import ALIGNED
    from giblet.generalisation import check_subjects, leave_one_out
    from giblet.models.autoencoder import Autoencoder
    from giblet.regions import find_regions
    from giblet.store import load_arrays, save_table
    from giblet.training import is_first_process

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
    import torch

    from giblet.aligned import film_data, film_shapes
    from giblet.audio.codec import load_codec
    from giblet.incoming import file_name
    from giblet.listening import LatentDistance
    from giblet.logbook import tell
    from giblet.models.starting import starting_point
    from giblet.training import fit

    codec = None
    if others.attrs["encoding_mode"] == "encodec":
        codec = load_codec(config.codec, config.bandwidth_kbps)
    shapes = film_shapes(others, config.hrf_model, codec.codebook_dim if codec else 0)
    words = None if codec is None else torch.from_numpy(codec.codebooks())
    start, _name = starting_point(shapes, config.model, words)
    options = {"codebooks": words, "sound": codec and LatentDistance(codec), "start": start}
    data = film_data(others, config.model.hrf_placement == "inputs")
    training = config.training.model_copy(update={"nodes": 1})  # one job trains one after the other
    folder = logs / file_name(subject)
    tell(f"training without {subject} begins")
    return fit(data, shapes, config.model, training, config.seed, folder, **options).autoencoder
