"""Banks of the film's training TRs, and of a folder of sounds."""

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.audio.files import read_sound
from giblet.audio.processor import AudioProcessor
from giblet.audio.sound_fingerprint import Fingerprint
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.config.prior import PriorConfig
from giblet.errors import GibletError
from giblet.evaluation.bank import Bank, BankRecord
from giblet.io.checksums import fingerprint
from giblet.log import progress
from giblet.timing import tr_onsets, trs_for

logger = logging.getLogger(__name__)

TRAINING = "training TRs of the film"


def bank_of_training(
    aligned: xr.Dataset, data: FilmData, autoencoder: Autoencoder
) -> tuple[Bank, BankRecord]:
    """The film's training TRs."""
    train, trs = data.where("train"), aligned["tr"].values
    stretches = [np.searchsorted(train, one) for one in data.stretches("train")]
    onsets = tr_onsets(int(trs.max()) + 1, float(aligned.attrs["t_r"]))[trs[train]]
    code = bottlenecks(autoencoder, data)[train]
    source = np.repeat("film", len(train))
    return Bank(TRAINING, code, stretches, source, onsets), BankRecord.of_film(TRAINING, trs[train])


def bank_of_folder(
    folder: Path, processor: AudioProcessor, autoencoder: Autoencoder, config: PriorConfig
) -> tuple[Bank, BankRecord]:
    """Every sound below ``folder``; what cannot be read, or is too short, is left out with a line.

    Raises
    ------
    GibletError
        No sound is left; the model reads the film after the HRF.
    """
    if autoencoder.config.hrf_placement == "inputs":
        raise GibletError("prior.bank needs model.hrf_placement bottleneck: sounds have no HRF")
    t_r = processor.clock.t_r
    fewest = max(1, trs_for(config.window_seconds, t_r))
    audio, marks = {}, {}
    files = sorted(f for f in Path(folder).rglob("[!.]*") if f.is_file())
    for file in progress(files, "reading the bank", "files"):
        name = file.relative_to(folder).as_posix()
        try:
            features, _table = processor.audio_to_features(file)
            if len(features) < fewest:
                raise GibletError(f"{name} has fewer than {config.window_seconds:g} s")
            marks[name] = Fingerprint.of(
                read_sound(file, processor.sample_rate), processor.sample_rate
            )
        except GibletError as error:
            logger.warning("prior.bank: a file is left out: %s", error)
            continue
        audio[name] = features
    if not audio:
        raise GibletError(
            f"prior.bank: {folder}: no usable sound in it: none of {len(files)} files can be read "
            f"and has {config.window_seconds:g} s"
        )
    name = f"folder {Path(folder).name}, {len(audio)} sounds, {fingerprint(folder)}"
    n_trs = [len(one) for one in audio.values()]
    joined = torch.from_numpy(np.concatenate([*audio.values()]))
    edges = np.concatenate([[0], np.cumsum(n_trs)])
    nothing = np.repeat("train", len(joined))
    code = bottlenecks(autoencoder, FilmData({"audio": joined}, None, nothing, nothing))
    bank = Bank(
        name,
        code,
        [np.arange(a, b) for a, b in pairwise(edges)],
        np.repeat([*audio], n_trs),
        np.concatenate([tr_onsets(n, t_r) for n in n_trs]),
    )
    return bank, BankRecord(name, sounds=marks)
