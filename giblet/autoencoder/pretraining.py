"""Any sounds as training data of the audio encoder and decoder; no film or scan is needed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.alignment.shapes import Shapes
from giblet.audio.files import sound_duration
from giblet.audio.processor import AudioProcessor
from giblet.errors import GibletError

_N_SHIFTS = 4  # times that a sound is cut into TRs, each time at other frames


def sound_data(folders: Mapping[str, Path], processor: AudioProcessor, seed: int) -> FilmData:
    """Every sound below the folders as TRs of codes or mels, in random order.

    ``folders``: part (train, validation) → folder. Training sounds are cut into TRs several times
    over, a share of a TR further on each time, so that no position in a TR is special. Sounds
    shorter than a TR are left out.
    """
    audio, part = [], []
    for name, folder in folders.items():
        files = sorted(f for f in Path(folder).rglob("[!.]*.*") if f.is_file())
        n_shifts = _N_SHIFTS if name == "train" else 1
        cuts = [trs for file in files for trs in _cuts(file, processor, n_shifts)]
        if not cuts:
            raise GibletError(f"{folder}: no sound in it is as long as a TR")
        trs = np.random.default_rng(seed).permutation(np.concatenate(cuts))
        audio += [trs, np.full_like(trs[:1], processor.feature_type.missing)]
        part += [name] * len(trs) + ["gap"]
    film = {"audio": torch.from_numpy(np.concatenate(audio))}
    return FilmData(film, None, np.array(part), np.repeat("any", len(part)))


def _cuts(file: Path, processor: AudioProcessor, n_shifts: int) -> list[np.ndarray]:
    """One sound's frames as TRs (n_trs, n_rows, frames_per_tr), cut at several places."""
    per_tr, cuts = processor.clock.frames_per_tr, []
    if sound_duration(file) < processor.clock.duration(1):
        return cuts
    stream, _n_trs = processor.extract(file)
    for shift in range(0, per_tr, -(-per_tr // n_shifts)):
        n_trs = (stream.shape[1] - shift) // per_tr
        if n_trs:
            cut = stream[:, shift : shift + n_trs * per_tr]
            cuts.append(np.ascontiguousarray(cut.reshape(len(cut), n_trs, per_tr).swapaxes(0, 1)))
    return cuts


def sound_shapes(processor: AudioProcessor, data: FilmData) -> Shapes:
    """Sizes of a model of sounds alone."""
    _n_trs, n_rows, frames_per_tr = data.film["audio"].shape
    codec = processor.codec
    sizes = {"codebook_size": 0, "codebook_dim": 0}
    if codec:
        sizes = {"codebook_size": codec.codebook_size, "codebook_dim": codec.codebook_dim}
    return Shapes(processor.use_encodec, n_rows, frames_per_tr, **sizes)
