"""Inputs of a model that predicts tokens: ids, and the moment and phases of what comes next."""

import numpy as np
import torch

from giblet.music.constraints import sixteenths
from giblet.music.grammar import possible_targets
from giblet.music.notes import Beats, Notes
from giblet.music.positions import token_phases
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize

Inputs = dict[
    str, torch.Tensor
]  # "inputs", "targets", "seconds", "phases", ...; see `encoded` and `crop`


def next_positions(
    tokens: np.ndarray, beats: Beats | None, first_onset: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The moment at which each next token will stand, and its phases.

    A model that has BOS and the first i tokens predicts token i: this is token i's own moment, the
    sum of the TIME_SHIFTs before it, whatever it is.

    Parameters
    ----------
    tokens : (n_tokens,) integer
    beats : of the piece; without them the phases are 0
    first_onset : s on the beats' clock, where the tokens begin

    Returns
    -------
    seconds : (n_tokens + 1,) float64, s from the first token; the last is the end
    phases : (n_tokens + 1, 2) float32, of the beat and of the bar, in [0, 1)

    >>> next_positions(np.array([771, 60, 287, 188]), None)[0].tolist()
    [0.0, 0.0, 0.0, 0.5, 0.5]
    """
    ended = np.append(np.asarray(tokens, np.int64), VOCABULARY.eos)
    return token_seconds(ended), token_phases(ended, beats, first_onset)


def encoded(notes: Notes) -> Inputs:
    """A piece from BOS to EOS as a model learns it.

    Returns
    -------
    inputs, targets : (n_tokens + 1,) int64, the targets one token later
    seconds : (n_tokens + 1,) float32, s, from the first token
    phases : (n_tokens + 1, 2) float32, of the targets
    sixteenths : (n_tokens + 1, 2) float32, see `giblet.music.constraints.sixteenths`
    possible : (n_tokens + 1, n_ids) bool, ids that the grammar allows as target
    """
    tokens = tokenize(notes)
    first = float(notes.onset[0]) if len(notes) else 0.0
    seconds, phases = next_positions(tokens, notes.beats, first)
    ids = np.concatenate([[VOCABULARY.bos], tokens, [VOCABULARY.eos]]).astype(np.int64)
    inputs = torch.from_numpy(ids[:-1])
    return {
        "inputs": inputs,
        "targets": torch.from_numpy(ids[1:]),
        "seconds": torch.from_numpy(seconds.astype(np.float32)),
        "phases": torch.from_numpy(phases),
        "sixteenths": torch.from_numpy(sixteenths(notes.beats, first + seconds)),
        "possible": possible_targets(inputs),
    }


def crop(piece: Inputs, window: slice, n_tokens: int) -> Inputs:
    """A window of a piece, padded behind to ``n_tokens``; PAD is not to be predicted.

    The moments of the last token, and what may follow, are repeated: time does not run back.
    """
    cut = {name: values[window] for name, values in piece.items()}
    missing = n_tokens - len(cut["inputs"])
    origin = cut["seconds"][:1]  # where latents' segments of a crop begin
    padded = {
        name: torch.cat([values, _padding(values, missing, name in ("inputs", "targets"))])
        for name, values in cut.items()
    }
    return padded | {"origin": origin}


def _padding(values: torch.Tensor, n: int, is_id: bool) -> torch.Tensor:
    if is_id:
        return values.new_full((n,), VOCABULARY.pad)
    return values[-1:].expand(n, *values.shape[1:])
