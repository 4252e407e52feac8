"""A bank of clips, and retrieval of the clip that fits what was decoded best."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import xarray as xr

from giblet.audio.sound_fingerprint import Fingerprint, in_film
from giblet.autoencoder.trained_on import inside, tr_ranges
from giblet.errors import GibletError
from giblet.evaluation.slow_part import SlowDecoder


@dataclass(frozen=True)
class Bank:
    """Sounds to retrieve from, as bottlenecks.

    name : as results have it
    bottleneck : (n_trs, bottleneck_dim)
    stretches : indices of consecutive TRs of one sound
    source : (n_trs,) str, the sound that each TR is of
    onset : (n_trs,) s within it
    """

    name: str
    bottleneck: np.ndarray
    stretches: Sequence[np.ndarray]
    source: np.ndarray
    onset: np.ndarray

    def starts(self, n_trs: int) -> np.ndarray:
        """First TRs of every clip of ``n_trs`` within a stretch, (n_clips,)."""
        return clip_starts(self.stretches, n_trs)


def clip_starts(stretches: Sequence[np.ndarray], n_trs: int) -> np.ndarray:
    """First TRs of every clip of ``n_trs`` in a row.

    >>> clip_starts([np.arange(3), np.array([7])], 2).tolist()
    [0, 1]
    """
    starts = [stretch[: max(0, len(stretch) - n_trs + 1)] for stretch in stretches]
    return np.concatenate([np.zeros(0, dtype=int), *starts])


def windows(stretches: Sequence[np.ndarray], n_trs: int) -> list[np.ndarray]:
    """Stretches cut into windows of ``n_trs``; the last of a stretch may be shorter.

    >>> [w.tolist() for w in windows([np.arange(5)], 2)]
    [[0, 1], [2, 3], [4]]
    """
    return [s[a : a + n_trs] for s in stretches for a in range(0, len(s), n_trs)]


def retrieve(
    decoded: np.ndarray,
    bank: np.ndarray,
    starts: np.ndarray,
    cut: Sequence[np.ndarray],
    decoder: SlowDecoder | None = None,
) -> np.ndarray:
    """For each TR the TR of the bank that is most likely, a window at a time: (n_trs,) indices.

    A clip is scored by how likely the decoded components are if it was heard: decoded = gain *
    clip + noise, of ``decoder``; None for the true components.

    Parameters
    ----------
    decoded : (n_trs, n_components)
    bank : (n_bank_trs, n_components)
    starts : (n_clips,) first TRs of clips of the bank, as long as the longest window
    cut : windows, indices into ``decoded``
    """
    gain, noise = (1.0, np.ones(bank.shape[1]))
    if decoder is not None:
        gain, noise = decoder.gain, decoder.noise
    a, b = decoded / np.sqrt(noise), gain * bank / np.sqrt(noise)
    chosen, size = np.empty(len(decoded), dtype=int), (b**2).sum(axis=1)
    for window in cut:  # one at a time: all TRs by all of the bank may be too many to hold
        far = size - 2 * a[window] @ b.T  # and a**2, which all clips have alike
        total = sum(far[k, starts + k] for k in range(len(window)))
        chosen[window] = starts[np.argmin(total)] + np.arange(len(window))
    return chosen


def novelty(sound: np.ndarray, bank: np.ndarray, starts: np.ndarray, cut: Sequence[np.ndarray]):
    """1 - the correlation with the most similar clip of the bank, of each window: (n_windows,).

    ``sound`` (n_trs, n_features) and ``bank`` (n_bank_trs, n_features): levels of bands in dB;
    the bank's mean is subtracted from both. Clips are as long as the window.
    """
    mean, most = bank.mean(axis=0), np.empty(len(cut))
    sound, bank = sound - mean, bank - mean
    for n in {len(window) for window in cut}:  # clips of one length at a time: they are large
        _fill_most_similar(most, sound, bank, starts, cut, n)
    return 1 - most


def _fill_most_similar(
    most: np.ndarray, sound: np.ndarray, bank: np.ndarray, starts: np.ndarray, cut, n: int
) -> None:
    """Set ``most`` (n_windows,) of windows of ``n`` TRs: correlation with the most similar clip."""
    clips = _standardised(bank[starts[:, None] + np.arange(n)].reshape(len(starts), -1))
    for i, window in enumerate(cut):
        if len(window) == n:
            most[i] = (clips @ _standardised(sound[window].reshape(1, -1))[0]).max()


def _standardised(rows: np.ndarray) -> np.ndarray:
    """``rows`` (n, n_features) of mean 0 and length 1; 0 where a row never changes."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 0)


@dataclass(frozen=True)
class BankRecord:
    """What a bank holds, for `check_bank`: TRs of the film, or fingerprints of other sounds.

    name : as results have it
    trs : ranges of first and last TR of the film
    sounds : name → fingerprint
    """

    name: str
    trs: list[list[int]] = field(default_factory=list)
    sounds: Mapping[str, Fingerprint] = field(default_factory=dict)

    @classmethod
    def of_film(cls, name: str, trs: np.ndarray) -> Self:
        """Of TRs (n_trs,) of the film."""
        return cls(name, tr_ranges(trs))

    def arrays(self) -> xr.Dataset:
        """As an array set, for a file."""
        marks = [*self.sounds.values()] or [Fingerprint(np.zeros(0, int), np.zeros(0, int))]
        place = np.repeat(np.arange(len(marks)), [len(one) for one in marks])
        columns = {
            "code": np.concatenate([one.codes for one in marks]),
            "first_frame": np.concatenate([one.frames for one in marks]),
            "sound": place,
        }
        attrs = {
            "bank": self.name,
            "trs": json.dumps(self.trs),
            "sounds": json.dumps([*self.sounds]),
        }
        return xr.Dataset({k: ("landmark", v) for k, v in columns.items()}, attrs=attrs)

    @classmethod
    def from_arrays(cls, arrays: xr.Dataset) -> Self:
        """From what `arrays` returned."""
        place, attrs = arrays["sound"].values, arrays.attrs
        names = json.loads(attrs["sounds"])
        edges = np.searchsorted(place, np.arange(1, len(names)))  # sounds follow each other
        columns = (np.split(arrays[name].values, edges) for name in ("code", "first_frame"))
        marks = zip(*columns, strict=True)
        sounds = {name: Fingerprint(*one) for name, one in zip(names, marks, strict=False)}
        return cls(attrs["bank"], json.loads(attrs["trs"]), sounds)


def check_bank(bank: BankRecord, film: Fingerprint, test: np.ndarray) -> None:
    """Check that a bank has no test TR, and no sound that holds a piece of the film.

    ``film``: its sound, or the test part's; ``test``: test TRs (n_test,). Raises GibletError.

    >>> check_bank(BankRecord("training TRs", [[0, 9]]), None, np.arange(8, 12))
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: the bank (training TRs) holds 2 of 4 test TRs; retrieve from \
training TRs alone
    """
    if n_inside := int(inside(test, bank.trs).sum()):
        raise GibletError(
            f"the bank ({bank.name}) holds {n_inside} of {len(test)} test TRs; retrieve from "
            "training TRs alone"
        )
    if found := in_film(bank.sounds.items(), film) if bank.sounds else []:
        name, seconds = found[0]
        raise GibletError(
            f"the bank ({bank.name}) holds the film: {seconds:g} s or more of it are in {name}"
            + f" and {len(found) - 1} other sounds" * (len(found) > 1)
            + "; take them out of prior.bank"
        )
