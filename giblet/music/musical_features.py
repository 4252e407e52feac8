"""Musical features of token distributions: rhythm, harmony, melody and dynamics, per token.

All are expectations if the tokens are drawn independently from distributions (batch, n, n_ids),
and counts if those are one-hots. They are differentiable, so that what a discriminator hears in
them reaches the generator.
"""

import torch
from torch.nn import functional

from giblet.music.tokens import VOCABULARY

N_PITCHES = VOCABULARY.note_on.stop - VOCABULARY.note_on.start
N_CLASSES = 12  # pitch classes
N_LENGTHS = VOCABULARY.max_steps.bit_length()  # octaves of steps: 1, 2-3, 4-7, …
N_REPEATED = 2 * round(1 / VOCABULARY.step_seconds)  # lengths that may become a habit
WIDEST_LEAP = 12  # semitones
# what stays of a trace: with each token of a pitch's or a length's, with each note of a class's
FADING = (0.9, 0.985)


def scan(keep: torch.Tensor, add: torch.Tensor) -> torch.Tensor:
    """States (batch, n, k) before each token of ``s[j + 1] = keep[j] * s[j] + add[j]``; s[0] = 0.

    In log2(n) passes over the whole sequence (Hillis and Steele 1986), without divisions.

    >>> ones = torch.ones(1, 4, 1)
    >>> scan(ones / 2, ones).flatten().tolist()
    [0.0, 1.0, 1.5, 1.75]
    """
    n, step = keep.shape[1], 1
    keep, add = (functional.pad(x[:, :-1], (0, 0, 1, 0)) for x in (keep, add))
    while step < n:
        earlier = functional.pad(add[:, :-step], (0, 0, step, 0))
        add = torch.addcmul(add, keep, earlier)
        keep = keep * functional.pad(keep[:, :-step], (0, 0, step, 0))
        step *= 2
    return add


def sounding(distributions: torch.Tensor) -> torch.Tensor:
    """Probability (batch, n, n_pitches) that each pitch sounds just before each token."""
    on = distributions[..., VOCABULARY.note_on]
    off = distributions[..., VOCABULARY.note_off]
    return scan(1 - on - off, on)


def pitch_classes(pitches: torch.Tensor) -> torch.Tensor:
    """Sums (..., 12) over octaves of amounts by pitch (..., n_pitches)."""
    padded = functional.pad(pitches, (0, -N_PITCHES % N_CLASSES))
    return padded.unflatten(-1, (-1, N_CLASSES)).sum(-2)


def rhythm(distributions: torch.Tensor) -> torch.Tensor:
    """Lengths of TIME_SHIFTs, repeated lengths, and how many notes begin and end.

    Distributions (batch, n, n_ids) → (batch, n, 14): the probabilities of TIME_SHIFTs by octave of
    steps; the expected trace, which is 1 when it is heard and fades with each token (`FADING`), of
    just the same length, up to 2 s; the probabilities of NOTE_ON and of NOTE_OFF.
    """
    shifts = distributions[..., VOCABULARY.time_shift]
    short = shifts[..., :N_REPEATED]
    habits = [(short * scan(fading * (1 - short), short)).sum(-1) for fading in FADING]
    kinds = (VOCABULARY.note_on, VOCABULARY.note_off)
    sums = [distributions[..., part].sum(-1) for part in kinds]
    return torch.cat([shifts @ _octaves(distributions), torch.stack([*habits, *sums], -1)], dim=-1)


def harmony(distributions: torch.Tensor) -> torch.Tensor:
    """Pairs of a beginning note with what sounds, and with the pitch classes heard before.

    Distributions (batch, n, n_ids) → (batch, n, 37): the expected number of sounding notes 0, 1, …,
    11 semitones above the beginning one, octaves apart or not; the same with two traces of the
    pitch classes heard before, which fade with each note (`FADING`) and have the sum 4; the number
    of sounding notes, / 4.
    """
    on, sounds = pitch_classes(distributions[..., VOCABULARY.note_on]), sounding(distributions)
    traces = [
        4 * scan(1 - (1 - f) * on.sum(-1, keepdim=True).expand_as(on), (1 - f) * on) for f in FADING
    ]
    pairs = [_circular_correlation(on, other) for other in (pitch_classes(sounds), *traces)]
    return torch.cat([*pairs, sounds.sum(-1, keepdim=True) / 4], dim=-1)


def melody(distributions: torch.Tensor) -> torch.Tensor:
    """Intervals between a beginning note and those that began before, and its height.

    Distributions (batch, n, n_ids) → (batch, n, 51): the expected trace of notes at -12, …, 12
    semitones from the beginning one, which is 1 when they begin and fades with each token, of two
    kinds (`FADING`); its pitch from middle C, in two octaves.
    """
    on = distributions[..., VOCABULARY.note_on]
    leaps = []
    for fading in FADING:
        traces = functional.pad(scan(fading * (1 - on), on), (WIDEST_LEAP, WIDEST_LEAP))
        near = (traces[..., k : k + N_PITCHES] for k in range(2 * WIDEST_LEAP + 1))
        leaps += [(on * trace).sum(-1) for trace in near]
    height = (torch.arange(N_PITCHES, device=on.device, dtype=on.dtype) - 60) / 24
    return torch.stack([*leaps, on @ height], dim=-1)


def dynamics(distributions: torch.Tensor) -> torch.Tensor:
    """Probability of each velocity level just before a token, and of a change there.

    Distributions (batch, n, n_ids) → (batch, n, 7).
    """
    levels = distributions[..., VOCABULARY.velocity]
    change = levels.sum(-1, keepdim=True)
    return torch.cat([scan((1 - change).expand_as(levels), levels), change], dim=-1)


FEATURES = {"rhythm": rhythm, "harmony": harmony, "melody": melody, "dynamics": dynamics}
N_FEATURES = {"rhythm": N_LENGTHS + 4, "harmony": 37, "melody": 51, "dynamics": 7}


def musical_features(distributions: torch.Tensor) -> dict[str, torch.Tensor]:
    """All features by name, (batch, n, n_features) each, of distributions (batch, n, n_ids)."""
    return {name: extract(distributions) for name, extract in FEATURES.items()}


def _circular_correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """``sum_c(first[c] * second[(c + k) % 12])`` (..., 12) for each k."""
    twice = torch.cat([second, second[..., :-1]], dim=-1).unfold(-1, N_CLASSES, 1)
    return torch.einsum("...c,...kc->...k", first, twice)


def _octaves(like: torch.Tensor) -> torch.Tensor:
    """(max_steps, n_lengths) membership of 1, 2, … steps."""
    steps = torch.arange(1, VOCABULARY.max_steps + 1, device=like.device)
    return functional.one_hot(steps.float().log2().long(), N_LENGTHS).to(like.dtype)
