"""Preparation of training from arrays and settings: data, sizes, codebooks, a warm start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import xarray as xr

from giblet.alignment.aligned import film_data, film_shapes
from giblet.alignment.dataset import FilmData
from giblet.alignment.shapes import Shapes
from giblet.audio.codecs.codec import Codec
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.objective import LatentDistance
from giblet.autoencoder.pretraining import sound_data, sound_shapes
from giblet.autoencoder.trained_on import check_sounds, film_record, sounds_record
from giblet.autoencoder.training import Trained, fit
from giblet.autoencoder.warm_start import starting_point
from giblet.config.config import Config


@dataclass(frozen=True)
class Preparation:
    """Arguments of `giblet.autoencoder.training.fit`, the name of the warm start, and the record
    of what is trained on (`giblet.autoencoder.trained_on`)."""

    config: Config
    data: FilmData
    shapes: Shapes
    codebooks: torch.Tensor | None
    sound: LatentDistance | None
    start: Autoencoder | None
    started_from: str
    trained_on: dict

    def fit(self, folder: Path, *, progress: bool = False) -> Trained:
        """Train; checkpoints and logs go into ``folder``."""
        return fit(
            self.data,
            self.shapes,
            self.config.model,
            self.config.training,
            self.config.seed,
            folder,
            codebooks=self.codebooks,
            sound=self.sound,
            start=self.start,
            progress=progress,
        )


def prepare_training(aligned: xr.Dataset, config: Config) -> Preparation:
    """For a film: the arrays of ``sync_align``."""
    codec = AudioProcessor.from_config(config, aligned.attrs["encoding_mode"]).codec
    shapes = film_shapes(aligned, config.hrf_model, codec.codebook_dim if codec else 0)
    data = film_data(aligned, config.model.hrf_placement == "inputs")
    record = film_record(aligned)
    return _prepare(data, shapes, codec, config, record)


def prepare_pretraining(folders: Mapping[str, Path], config: Config) -> Preparation:
    """For sounds alone: ``folders`` by part, train and validation."""
    processor = AudioProcessor.from_config(config, config.path)
    data = sound_data(folders, processor, config.seed)
    record = sounds_record(folders.values())
    return _prepare(data, sound_shapes(processor, data), processor.codec, config, record)


def _prepare(
    data: FilmData, shapes: Shapes, codec: Codec | None, config: Config, record: dict
) -> Preparation:
    codebooks = None if codec is None else torch.from_numpy(codec.codebooks())
    sound = None if codec is None else LatentDistance(codec)
    start, started_from = starting_point(shapes, config.model, codebooks)
    if start is not None:  # what it has heard, this model has heard
        heard = {*record["sounds"], *start.facts.get("trained_on", {}).get("sounds", ())}
        record = record | {"sounds": sorted(heard)}
    check_sounds(record, record.get("film", "none"))
    return Preparation(config, data, shapes, codebooks, sound, start, started_from, record)
