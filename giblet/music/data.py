"""Crops of pieces, augmented, to train on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from giblet.music.inputs import Inputs, crop, encoded
from giblet.music.notes import Notes
from giblet.music.recipe import DataSettings
from giblet.music.tokens import VOCABULARY, tokenize
from giblet.music.windows import training_windows


def augmented(notes: Notes, settings: DataSettings, rng: np.random.Generator) -> Notes:
    """A piece transposed, slower or faster, louder or softer, and maybe without its beats.

    A transposition or a loudness that a note has no room for is drawn smaller.
    """
    semitones = rng.integers(-settings.transpose, settings.transpose + 1)
    semitones = np.clip(semitones, -notes.pitch.min(), VOCABULARY.n_pitches - 1 - notes.pitch.max())
    louder = rng.integers(-settings.velocity, settings.velocity + 1)
    louder = np.clip(louder, 1 - notes.velocity.min(), 127 - notes.velocity.max())
    slower = float(np.exp(rng.uniform(-1, 1) * np.log1p(settings.stretch)))
    beats = notes.beats
    if beats is not None:
        is_shown = rng.random() >= settings.without_beats
        beats = replace(beats, seconds=beats.seconds * slower) if is_shown else None
    return replace(
        notes,
        onset=notes.onset * slower,
        duration=notes.duration * slower,
        pitch=notes.pitch + semitones,
        velocity=notes.velocity + louder,
        beats=beats,
    )


class RandomCrops(IterableDataset):
    """Endless crops of pieces, drawn by length, augmented, and padded to one length.

    Crop ``i`` depends on ``seed`` and ``i`` alone: a run that goes on from ``first_step``, with any
    number of workers, sees what it would have seen without a stop. Each is as
    `giblet.music.inputs.crop` cuts it.

    Parameters
    ----------
    pieces : of notes
    first_step : number of batches that are left out
    process, n_processes : of several that train together, each with its own share of a step

    ``n_shorter`` counts the pieces that are shorter than a crop, which are padded.
    """

    def __init__(
        self,
        pieces: Sequence[Notes],
        settings: DataSettings,
        seed: int,
        first_step: int = 0,
        process: int = 0,
        n_processes: int = 1,
    ):
        self.pieces, self.settings, self.seed = pieces, settings, seed
        self.first_step, self.process, self.n_processes = first_step, process, n_processes
        lengths = np.array([len(tokenize(notes)) for notes in pieces], float)
        self.shares = lengths / lengths.sum()
        self.n_shorter = int((lengths + 1 < settings.crop_tokens).sum())  # with BOS, or EOS

    def __iter__(self) -> Iterator[Inputs]:
        worker = get_worker_info()
        begin, each = (worker.id, worker.num_workers) if worker else (0, 1)
        size = self.settings.batch_size
        for step in count(self.first_step + begin, each):  # a worker makes whole batches
            first = (step * self.n_processes + self.process) * size
            for number in range(first, first + size):
                yield self._crop(np.random.default_rng([self.seed, number]))

    def _crop(self, rng: np.random.Generator) -> Inputs:
        notes = self.pieces[rng.choice(len(self.pieces), p=self.shares)]
        piece = encoded(augmented(notes, self.settings, rng))
        size, way = self.settings.crop_tokens, self.settings.truncation
        targets, phases = piece["targets"].numpy(), piece["phases"].numpy()
        windows = training_windows(targets, size, way, phases, rng)
        return crop(piece, windows[rng.integers(len(windows))], size)
