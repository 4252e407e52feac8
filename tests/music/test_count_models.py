"""Count models against the formula written with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.count_models import CountModel, TokenCounts

N = 5


def slow_probability(rows, row, n_symbols):
    """Interpolated Kneser-Ney of one row, from sets of strings."""
    if not row:
        return 1 / n_symbols
    order = len(row)
    if order == len(rows[0]):
        counts = Counter(map(tuple, rows))
    else:  # different symbols before each string of this length
        longer = {tuple(r[-order - 1 :]) for r in rows}
        counts = Counter(r[1:] for r in longer)
    n1, n2 = (sum(c == n for c in counts.values()) for n in (1, 2))
    discount = n1 / (n1 + 2 * n2) if n1 else 0.5
    after = {r: c for r, c in counts.items() if r[:-1] == tuple(row[:-1])}
    lower = slow_probability(rows, row[1:], n_symbols)
    if not after:
        return lower
    total = sum(after.values())
    kept = max(counts.get(tuple(row), 0) - discount, 0)
    return (kept + discount * len(after) * lower) / total


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_equals_the_formula(rng, order):
    rows = rng.integers(N, size=(60, order))
    rows[::3] = rows[0]
    model = CountModel(rows, N)
    probes = np.concatenate([rows[:20], rng.integers(N, size=(40, order))])
    expected = [slow_probability(rows.tolist(), row, N) for row in probes.tolist()]
    np.testing.assert_allclose(model.probabilities(probes), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_distributions_sum_to_one(rng, order):
    tokens = np.minimum(rng.geometric(0.4, size=500) - 1, N - 2)  # symbol 4 is never seen
    model = CountModel(np.lib.stride_tricks.sliding_window_view(tokens, order), N)
    for context in [tokens[: order - 1], np.full(order - 1, N - 1)]:
        distribution = model.distribution(context)
        assert distribution.sum() == pytest.approx(1, abs=1e-12)
        assert (distribution > 0).all()


def test_tokens_at_the_beginning_and_later_sum_to_one(rng):
    pieces = [rng.integers(N, size=n) for n in (1, 7, 300)]
    model = TokenCounts(pieces, 3, N)
    for before in ([], [1], [1, 4, 2]):
        after = [model.nats(np.array([*before, token]))[-1] for token in range(N)]
        assert np.exp(-np.array(after)).sum() == pytest.approx(1, abs=1e-12)


def test_learns_the_entropy_of_a_markov_chain(rng):
    chain = rng.dirichlet(np.full(N, 0.4), size=N)
    tokens = [0]
    for _ in range(20_000):
        tokens.append(rng.choice(N, p=chain[tokens[-1]]))
    train, held_out = np.array(tokens[:15_000]), np.array(tokens[15_000:])
    ideal = -np.log(chain[held_out[:-1], held_out[1:]]).mean()
    nats = {k: TokenCounts([train], k, N).nats(held_out)[1:].mean() for k in (1, 2, 3)}
    assert nats[2] == pytest.approx(ideal, abs=0.005)
    assert nats[1] > nats[2] + 0.05
    assert nats[3] == pytest.approx(nats[2], abs=0.01)


def test_a_token_depends_on_those_before_it_only(rng):
    tokens = rng.integers(N, size=50)
    model = TokenCounts([tokens], 3, N)
    changed = tokens.copy()
    changed[30] = (changed[30] + 1) % N
    np.testing.assert_array_equal(model.nats(changed)[:30], model.nats(tokens)[:30])
    np.testing.assert_array_equal(model.nats(changed)[33:], model.nats(tokens)[33:])
    assert (model.nats(changed)[30:33] != model.nats(tokens)[30:33]).all()


def test_nothing_to_count_is_one_line():
    with pytest.raises(GibletError, match="nothing to count"):
        TokenCounts([], 2, N)
    with pytest.raises(GibletError, match="too high"):
        CountModel(np.zeros((3, 7)), 775)


def test_no_tokens_have_no_nats(rng):
    assert TokenCounts([rng.integers(N, size=9)], 3, N).nats(np.array([], int)).shape == (0,)


def test_what_is_possible_shares_the_probability_of_the_rest(rng):
    model = TokenCounts([rng.integers(N, size=40) for _ in range(3)], 3, N)
    tokens = rng.integers(N, size=25)
    possible = rng.random((25, N)) < 0.5
    possible[np.arange(25), tokens] = True
    rows = model._rows(tokens)
    every = np.stack([model._model.distribution(row[:-1])[:N] for row in rows])
    expected = (every * possible).sum(axis=1) / every[np.arange(25), tokens]
    np.testing.assert_allclose(model.nats(tokens, possible), np.log(expected))
    np.testing.assert_allclose(model.nats(tokens, np.ones_like(possible)), model.nats(tokens))
