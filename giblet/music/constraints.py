"""What musicians ask of rhythm, harmony and voice leading, as losses of predicted distributions.

Each is an expectation one token ahead: token j is drawn from its distribution, independently of
the others, and heard after the tokens before it, which are given: those of the piece while a model
is taught by them, or those that it drew itself. Each loss is a mean over what is drawn, the
ratio of two expected sums, so that a model cannot lower it by fewer notes. On one-hots of the
same tokens all are counts. The gradient is that of the distributions; the tokens have none.

These are conventions of Western tonal music, and real pieces do not score 0: compare with what the
piece itself scores (`one_hot` of its tokens).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from giblet.music.musical_features import N_CLASSES, N_PITCHES, pitch_classes
from giblet.music.notes import Beats
from giblet.music.tokens import VOCABULARY

SIXTEENTHS = 4  # of a beat
RECENT_SECONDS = 2.0  # from notes older than this, a voice does not lead on
WIDEST = 12  # semitones; a leap further than this counts the same
HURON = (1.240, -1.428, -0.582, 0.594, 0.386, 1.240, -0.453)  # consonance by interval class 0-6
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True, eq=False)
class Grid:
    """Sixteenths of the beats in which tokens stand.

    Parameters
    ----------
    phase : (batch, n), where in its sixteenth the moment of each token is, in [0, 1)
    seconds : (batch, n), s, length of that sixteenth; 0 where no beats are known
    """

    phase: torch.Tensor
    seconds: torch.Tensor


def sixteenths(beats: Beats | None, seconds: np.ndarray) -> np.ndarray:
    """Phase in its sixteenth, and the sixteenth's length in s, of moments (n,) in s of a piece.

    A sixteenth is a quarter of a beat, whatever the beat is. Returns (n, 2) float32: columns of a
    `Grid`; zeros without beats.

    >>> beats = Beats(np.array([0.0, 0.5, 1.0]), np.array([0, 1, 2]), np.array([3, 3, 3]))
    >>> sixteenths(beats, np.array([0.0, 0.15625])).tolist()
    [[0.0, 0.125], [0.25, 0.125]]
    """
    if beats is None:
        return np.zeros((len(seconds), 2), np.float32)
    phase = SIXTEENTHS * beats.phases(seconds)[:, 0] % 1.0
    last = len(beats.seconds) - 2
    beat = np.clip(np.searchsorted(beats.seconds, seconds, side="right") - 1, 0, last)
    length = np.diff(beats.seconds)[beat] / SIXTEENTHS
    return np.stack([phase, length], axis=1).astype(np.float32)


def rhythm_off_grid(probabilities: torch.Tensor, grid: Grid) -> torch.Tensor:
    """How far from sixteenths the moments lie to which drawn TIME_SHIFTs lead; scalar in [0, 1].

    ``(1 - cos(2 pi phase)) / 2`` of the moment's phase in its sixteenth: 0 on it, 1 halfway between
    two, .75 for a triplet of eighths. At such moments notes begin or end. The tempo is taken to
    stay during the shift. Positions without beats are left out; without any, the loss is 0.

    Parameters
    ----------
    probabilities : (batch, n, n_ids), of the tokens at moments in ``grid``
    """
    shifts = probabilities[..., VOCABULARY.time_shift]
    shifts = shifts * (grid.seconds > 0)[..., None]
    steps = torch.arange(1, VOCABULARY.max_steps + 1, device=shifts.device)
    length = grid.seconds.where(grid.seconds > 0, 1.0)[..., None]
    phase = grid.phase[..., None] + steps * VOCABULARY.step_seconds / length
    cost = (1 - torch.cos(2 * torch.pi * phase)) / 2
    return _ratio((shifts * cost.to(shifts.dtype)).sum(), shifts.sum())


def harmonic_dissonance(probabilities: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean dissonance of drawn NOTE_ONs with each note that sounds then; scalar in [0, 1].

    By Huron's (1994) consonance of interval classes, from listeners' judgements, rescaled: 0 for a
    fifth, a fourth, an octave or a unison, .24 and .32 for sixths and thirds, .63 for a tritone,
    .68 for a whole tone, 1 for a semitone. Register and context do not count.

    Parameters
    ----------
    probabilities : (batch, n, n_ids)
    tokens : (batch, n) int, heard before each
    """
    on = probabilities[..., VOCABULARY.note_on]
    sounds = sounding_pitches(tokens).to(on.dtype)
    clash = sounds @ _dissonance(on)
    return _ratio((on * clash).sum(), (on.sum(-1) * sounds.sum(-1)).sum())


def key_departure(probabilities: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean distance of drawn NOTE_ONs from the tonic, in the key of the tokens; scalar in [0, 1].

    The key is the one of 24 whose profile (Krumhansl and Kessler 1982) correlates best with the
    pitch classes of all NOTE_ONs in the row of ``tokens``, as Krumhansl and Schmuckler find it. A
    drawn pitch class costs 0 where the profile is greatest, 1 where it is least.

    Parameters
    ----------
    probabilities : (batch, n, n_ids)
    tokens : (batch, n) int, of whole segments
    """
    on = pitch_classes(probabilities[..., VOCABULARY.note_on])
    profiles = _profiles(on)
    heard = _events(tokens, VOCABULARY.note_on).to(on.dtype).sum(1)  # (batch, n_pitches)
    classes = _standardize(pitch_classes(heard))
    key = (classes @ _standardize(profiles).T).argmax(-1)
    profile = profiles[key]  # (batch, 12)
    low, high = profile.amin(-1, keepdim=True), profile.amax(-1, keepdim=True)
    cost = (high - profile) / (high - low)
    return _ratio((on * cost[:, None]).sum(), on.sum())


def voice_leap(
    probabilities: torch.Tensor, tokens: torch.Tensor, seconds: torch.Tensor
) -> torch.Tensor:
    """Mean interval in semitones from a drawn NOTE_ON to the nearest pitch before it; scalar.

    Before it: of all notes that began earlier than its moment, and at most 2 s earlier, among
    ``tokens``; notes of the same chord are no predecessors. A leap counts at most 12; a note
    without predecessors is left out. Which voice a note is in, nobody knows: the nearest pitch
    stands for the voice.

    Parameters
    ----------
    probabilities : (batch, n, n_ids)
    tokens : (batch, n) int, heard before each
    seconds : (batch, n), s, moments of the tokens, ascending
    """
    on = probabilities[..., VOCABULARY.note_on]
    moments = seconds.cummax(dim=1).values.contiguous()  # PAD may have any
    begins = _events(tokens, VOCABULARY.note_on)
    never = torch.full((), -torch.inf, dtype=moments.dtype, device=moments.device)
    latest = torch.where(begins, moments[..., None], never).cummax(dim=1).values
    latest = functional.pad(latest[:, :-1], (0, 0, 1, 0), value=-torch.inf)  # before each token
    first = torch.searchsorted(moments, moments)  # the first token of the same moment
    latest = latest.gather(1, first[..., None].expand_as(latest))
    recent = (latest >= (moments - RECENT_SECONDS)[..., None]).to(on.dtype)
    distance = torch.zeros_like(recent)
    for reach in range(WIDEST):
        distance += 1 - functional.max_pool1d(recent, 2 * reach + 1, stride=1, padding=reach)
    on = on * recent.amax(-1, keepdim=True)
    return _ratio((on * distance).sum(), on.sum())


def sounding_pitches(tokens: torch.Tensor) -> torch.Tensor:
    """Whether each pitch sounds just before each token: (batch, n) → (batch, n, n_pitches) bool."""
    place = 2 * torch.arange(1, tokens.shape[1] + 1, device=tokens.device)[:, None]
    on, off = (_events(tokens, part) for part in (VOCABULARY.note_on, VOCABULARY.note_off))
    latest = (on * (place + 1) + off * place).cummax(dim=1).values  # odd: the last event began it
    return functional.pad(latest[:, :-1] % 2 == 1, (0, 0, 1, 0))


def _events(tokens: torch.Tensor, part: slice) -> torch.Tensor:
    """(batch, n) → (batch, n, n_pitches) bool: which pitch each token of this kind has."""
    return tokens[..., None] == torch.arange(part.start, part.stop, device=tokens.device)


def _ratio(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    return total / count.clamp(min=1e-6)


def _dissonance(like: torch.Tensor) -> torch.Tensor:
    """(n_pitches, n_pitches), of pairs of pitches."""
    pitches = torch.arange(N_PITCHES, device=like.device)
    interval = (pitches[:, None] - pitches).abs() % N_CLASSES
    consonance = like.new_tensor(HURON)[torch.minimum(interval, N_CLASSES - interval)]
    return (max(HURON) - consonance) / (max(HURON) - min(HURON))


def _profiles(like: torch.Tensor) -> torch.Tensor:
    """(24, 12): the profile of each key by pitch class, first the major ones."""
    both = like.new_tensor([MAJOR, MINOR])
    return torch.stack([p.roll(tonic) for p in both for tonic in range(N_CLASSES)])


def _standardize(rows: torch.Tensor) -> torch.Tensor:
    centred = rows - rows.mean(-1, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True).clamp(min=1e-9)
