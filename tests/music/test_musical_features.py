"""Features equal counts on tokens, and expectations over independent draws."""

import numpy as np
import pytest
import torch

from giblet.music.musical_features import (
    FADING,
    FEATURES,
    N_FEATURES,
    musical_features,
    pitch_classes,
    scan,
    sounding,
)
from giblet.music.tokens import VOCABULARY as V

ON, OFF, SHIFT, LOUD = V.note_on_token, V.note_off_token, V.time_shift_token, V.velocity_token
TOKENS = [LOUD(3), ON(60), ON(64), SHIFT(32), OFF(64), ON(67), SHIFT(32), LOUD(5), ON(61), OFF(60)]


def one_hot(tokens):
    return torch.nn.functional.one_hot(torch.as_tensor(tokens), V.n_ids).double()


def dirichlet(n, seed=0):
    """Distributions (1, n, n_ids) with much weight on the tokens of the example."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((1, n, V.n_ids)) - 8
    logits[..., TOKENS] += 9
    return torch.from_numpy(logits).softmax(-1)


def counted(tokens):
    """The features of one sequence, by walking through it."""
    held, traces, memories, level = set(), np.zeros((2, 128)), np.zeros((2, 12)), None
    habits = np.zeros((2, 129))
    rows = {name: [] for name in FEATURES}
    for token in tokens:
        row = {name: np.zeros(n) for name, n in N_FEATURES.items()}
        if token in range(*V.time_shift.indices(V.n_ids)):
            row["rhythm"][int(np.log2(V.steps(token)))] = 1
            row["rhythm"][10:12] = habits[:, V.steps(token)]
        row["rhythm"][12:] = V.is_note_on(token), V.is_note_off(token)
        row["harmony"][36] = len(held) / 4
        if V.is_note_on(token):
            for pitch in held:
                row["harmony"][(pitch - token) % 12] += 1
            for interval in range(12):
                row["harmony"][12 + interval] = 4 * memories[0, (token + interval) % 12]
                row["harmony"][24 + interval] = 4 * memories[1, (token + interval) % 12]
            for leap in range(-12, 13):
                if 0 <= token + leap < 128:
                    row["melody"][[leap + 12, leap + 37]] = traces[:, token + leap]
            row["melody"][50] = (token - 60) / 24
        if level is not None:
            row["dynamics"][level] = 1
        row["dynamics"][6] = V.is_velocity(token)
        traces *= np.array(FADING)[:, None]
        habits *= np.array(FADING)[:, None]
        if V.is_time_shift(token):
            habits[:, V.steps(token)] = 1
        if V.is_note_on(token):
            held.add(token)
            traces[:, token] = 1
            memories *= np.array(FADING)[:, None]
            memories[:, token % 12] += 1 - np.array(FADING)
        held -= {token - V.note_off.start}
        if V.is_velocity(token):
            level = token - V.velocity.start
        for name in rows:
            rows[name].append(row[name])
    return {name: np.array(values) for name, values in rows.items()}


@pytest.mark.parametrize("name", FEATURES)
def test_on_tokens_it_counts(name):
    found = FEATURES[name](one_hot([TOKENS]))[0]
    np.testing.assert_allclose(found, counted(TOKENS)[name], atol=1e-12)
    assert found.abs().sum(0).count_nonzero() > 2


@pytest.mark.parametrize("name", FEATURES)
def test_on_distributions_it_is_the_mean_over_independent_draws(name):
    distributions = dirichlet(len(TOKENS))
    draws = torch.distributions.Categorical(distributions[0]).sample
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = torch.stack([draws() for _ in range(1500)])
    found = torch.cat([FEATURES[name](one_hot(part)) for part in drawn.split(250)])
    error = found.std(0) / 1500**0.5
    distance = (FEATURES[name](distributions)[0] - found.mean(0)).abs()
    assert (distance <= 5 * error + 2e-3).all()
    assert found.mean(0).abs().max() > 20 * error.max()  # so many draws could see a difference


def test_scan_equals_the_recurrence(rng):
    keep, add = torch.from_numpy(rng.random((2, 2, 11, 3)))
    state, states = torch.zeros(2, 3).double(), []
    for j in range(11):
        states.append(state)
        state = keep[:, j] * state + add[:, j]
    torch.testing.assert_close(scan(keep, add), torch.stack(states, dim=1))


def test_sounding_is_a_probability():
    states = sounding(dirichlet(64))
    assert states.min() >= 0
    assert states.max() <= 1


def test_pitch_classes_add_octaves():
    assert pitch_classes(torch.arange(128.0)).tolist() == [
        sum(range(c, 128, 12)) for c in range(12)
    ]


def test_the_gradient_reaches_every_kind_of_token():
    distributions = dirichlet(32).requires_grad_()
    for name, values in musical_features(distributions).items():
        (gradient,) = torch.autograd.grad(values.square().sum(), distributions, retain_graph=True)
        kinds = {
            "rhythm": [V.time_shift, V.note_on, V.note_off],
            "harmony": [V.note_on, V.note_off],
            "melody": [V.note_on],
            "dynamics": [V.velocity],
        }[name]
        assert all(gradient[..., kind].abs().sum() > 0 for kind in kinds), name


def test_transposed_music_has_the_same_intervals():
    tokens = torch.tensor([TOKENS])
    higher = torch.where(V.is_note_on(tokens) | V.is_note_off(tokens), tokens + 5, tokens)
    both = [musical_features(one_hot(t)) for t in (tokens, higher)]
    torch.testing.assert_close(both[0]["harmony"], both[1]["harmony"])
    torch.testing.assert_close(both[0]["melody"][..., :50], both[1]["melody"][..., :50])
