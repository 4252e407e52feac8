"""When tokens sound, as an input to a model: seconds, and phases of beat and bar.

A token's position in the sequence says little about music: a chord of four notes takes more tokens
than a single one, and a change of loudness one more. Positions here are moments.
"""

import math

import numpy as np
import torch
from torch import nn

from giblet.music.notes import Beats
from giblet.music.tokens import token_seconds

# Powers of two: moments are multiples of 1/64 s, so phases of all periods are exact in float32.
_PERIODS = tuple(2.0**k for k in range(-3, 10))  # s, from 1/8 to 512
_HARMONICS = (1, 2, 3, 4, 6, 8)  # of a beat and of a bar: halves, triplets, quarters, ...


def token_phases(tokens: np.ndarray, beats: Beats | None, first_onset: float) -> np.ndarray:
    """Beat phase and bar phase of the moment at which each token stands.

    Parameters
    ----------
    tokens : (n_tokens,) int
    beats : of the piece, by its tempo map; None where there is none
    first_onset : of the piece's notes, s, on the clock of ``beats``

    Returns
    -------
    phases : (n_tokens, 2) float32, in [0, 1); 0 without beats

    >>> beats = Beats(np.arange(4.0), np.array([0, 1, 0, 1]), np.full(4, 2))
    >>> token_phases(np.array([771, 60, 303, 188]), beats, first_onset=1.0).tolist()
    [[0.0, 0.5], [0.0, 0.5], [0.0, 0.5], [0.75, 0.875]]
    """
    seconds = token_seconds(tokens)
    if beats is None:
        return np.zeros((len(seconds), 2), np.float32)
    phases = beats.phases(first_onset + seconds).astype(np.float32)
    return np.where(phases < 1, phases, np.float32(0))  # rounded up to 1: where the next one begins


class BeatEncoding(nn.Module):
    """Moments (batch, n) and phases (batch, n, 2) to vectors (batch, n, width).

    A linear map of sines and cosines: of harmonics of beat and bar, and of time on periods from
    1/8 s to 512 s; and of the time since the token before. All are bounded at any length but
    the last, which is logarithmic.
    """

    def __init__(self, width: int):
        super().__init__()
        n_angles = 2 * len(_HARMONICS) + len(_PERIODS)
        self.mix = nn.Linear(2 * n_angles + 1, width)
        self.register_buffer("rates", 1 / torch.tensor(_PERIODS), persistent=False)
        self.register_buffer("harmonics", torch.tensor(_HARMONICS).float(), persistent=False)

    def forward(
        self,
        seconds: torch.Tensor,
        phases: torch.Tensor,
        before: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Encode ``seconds`` (s, batch × n) and ``phases`` (cycles, batch × n × 2).

        ``before`` (batch,): the moment of the token before the first, by default the first's own.
        """
        cycles = torch.cat(
            (
                (phases[..., None] * self.harmonics).flatten(-2),
                (seconds[..., None] * self.rates) % 1,
            ),
            dim=-1,
        )  # (batch, n, n_angles)
        before = seconds[:, :1] if before is None else before[:, None]
        since = torch.diff(seconds, dim=1, prepend=before.to(seconds))
        angles = 2 * math.pi * cycles
        features = torch.cat((angles.sin(), angles.cos(), since[..., None].log1p()), dim=-1)
        return self.mix(features.to(self.mix.weight.dtype))
