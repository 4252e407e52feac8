"""Discriminators' shapes, and that each scale hears what it is there for, on real scores."""

import numpy as np
import pytest
import torch

from giblet.errors import GibletError
from giblet.music.adversarial import one_hot
from giblet.music.count_models import TokenCounts
from giblet.music.discriminators import (
    DEFAULT_SCALES,
    ScaleSettings,
    TokenDiscriminator,
    joined_features,
)
from giblet.music.midi import read_midi
from giblet.music.musical_features import N_FEATURES
from giblet.music.separation import (
    cut_windows,
    fit_discriminator,
    log_likelihoods,
    real_and_corrupted,
    score_windows,
    separation,
)
from giblet.music.spectral_norm import largest_singular_value
from giblet.music.tokens import VOCABULARY as V, tokenize


@pytest.fixture(autouse=True)
def own_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(**changes):
    return TokenDiscriminator(ScaleSettings(**{"n_tokens": 16, "width": 8, **changes}))


def test_shapes():
    windows = one_hot(torch.randint(V.size, (3, 16)))
    discriminator = build()
    embedded = discriminator.embed(windows)
    assert embedded.shape == (3, 16, 8 + sum(N_FEATURES.values()))
    scores, maps = discriminator(windows)
    assert scores.shape == (3,)
    assert [m.shape for m in maps] == [(3, 8, 8), (3, 8, 4), (3, 8, 2)]


def test_known_features_change_nothing():
    windows = one_hot(torch.randint(V.size, (3, 16)))
    discriminator = build()
    assert torch.equal(
        discriminator.embed(windows), discriminator.embed(windows, joined_features(windows))
    )


def test_a_window_is_scored_alone():
    windows = one_hot(torch.randint(V.size, (5, 16)))
    discriminator = build()
    alone = torch.cat([discriminator(window[None])[0] for window in windows])
    torch.testing.assert_close(discriminator(windows)[0], alone)


def test_windows_are_cut_from_pieces_as_long_as_they_are(rng):
    pieces = [np.arange(10), 100 + np.arange(12), np.arange(3)]
    windows = cut_windows(pieces, 8, 2000, rng)
    assert (np.diff(windows, axis=1) == 1).all()
    assert set(windows[:, 0]) == {0, 1, 2, 100, 101, 102, 103, 104}
    assert (windows[:, 0] >= 100).mean() == pytest.approx(5 / 8, abs=0.05)
    with pytest.raises(GibletError, match="no piece has 13 tokens"):
        cut_windows(pieces, 13, 1, rng)


def test_a_count_model_scores_windows_by_the_tokens_whose_context_they_hold():
    pieces = [np.array([1, 2, 1, 2, 1, 3])]
    windows = np.array([[1, 2, 1], [3, 3, 1]])
    for order in (1, 2):
        counts = TokenCounts(pieces, order, V.n_ids)
        nats = np.stack([counts.nats(window) for window in windows])
        found = log_likelihoods(counts, windows)
        np.testing.assert_allclose(found, -nats[:, order - 1 :].mean(axis=1))
    assert found[0] > found[1]


def test_it_learns_to_distinguish_order(rng):
    """Rising and falling scales have the same tokens."""
    starts = rng.integers(40, 80, size=(200, 1))
    rising, falling = starts + np.arange(16), starts + np.arange(16)[::-1]
    discriminator = build()
    fit_discriminator(discriminator, rising[:100], falling[:100], 30, rng)
    score = lambda windows: score_windows(discriminator, windows)  # noqa: E731
    assert separation(score, rising[100:], falling[100:]) > 0.95
    assert largest_singular_value(discriminator) <= 1.001
    counts = TokenCounts(list(rising[:100]), 1, V.n_ids)
    unigram = lambda windows: log_likelihoods(counts, windows)  # noqa: E731
    assert separation(unigram, rising[100:], falling[100:]) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def scores(shared):
    folder = shared / "music" / "data"
    if not folder.is_dir():
        pytest.skip(f"no scores in {folder}")
    parts = ("train", "validation")
    return {p: [read_midi(f) for f in sorted((folder / p).rglob("*.mid"))] for p in parts}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "n_windows", "n_steps"), [("local", 500, 60), ("phrase", 1500, 200)]
)
def test_each_scale_hears_what_it_is_there_for(scale, n_windows, n_steps, scores, rng):
    settings = DEFAULT_SCALES[scale]
    train = real_and_corrupted(scores["train"], scale, settings.n_tokens, n_windows, rng)
    held_out = real_and_corrupted(scores["validation"], scale, settings.n_tokens, 300, rng)
    discriminator = TokenDiscriminator(settings)
    fit_discriminator(discriminator, *train, n_steps, rng)
    found = separation(lambda windows: score_windows(discriminator, windows), *held_out)
    assert found > 0.9
    counts = TokenCounts([tokenize(notes) for notes in scores["train"]], 1, V.n_ids)
    unigram = lambda windows: log_likelihoods(counts, windows)  # noqa: E731
    assert separation(unigram, *held_out) < 0.7  # what frequencies say
