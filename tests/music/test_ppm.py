"""PPM against counting by hand, and against a slow form that follows the definition."""

from fractions import Fraction

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.ppm import LongTerm, combined, entropy, short_term


def by_definition(corpora, sequence, n_symbols, order, learns):
    """Exact probabilities: every context of every length looked up in every past sequence."""
    rows = []
    for i in range(len(sequence)):
        p = [Fraction(1, n_symbols)] * n_symbols
        for length in range(min(order, i) + 1):
            context, counts = sequence[i - length : i], [0] * n_symbols
            for past in [*corpora, *([sequence[:i]] if learns else [])]:
                for j in range(length, len(past)):
                    counts[past[j]] += past[j - length : j] == context
            n, types = sum(counts), sum(count > 0 for count in counts)
            if n:
                p = [(c + types * q) / (n + types) for c, q in zip(counts, p, strict=True)]
        rows.append([float(q) for q in p])
    return np.array(rows).reshape(-1, n_symbols)


def test_probabilities_by_hand():
    # a b a b a: before the last a, "b" stood once and was followed by a
    p = short_term(np.array([0, 1, 0, 1, 0]), n_symbols=3, order=1)
    order_0 = np.array([2 + 2 / 3, 2 + 2 / 3, 2 / 3]) / (4 + 2)
    np.testing.assert_allclose(p[0], 1 / 3)
    np.testing.assert_allclose(p[1], np.array([1 + 1 / 3, 1 / 3, 1 / 3]) / 2)
    np.testing.assert_allclose(p[4], (np.array([1, 0, 0]) + order_0) / 2)


@pytest.mark.parametrize(("n_symbols", "order"), [(2, 4), (3, 6), (4, 0), (5, 1)])
def test_both_memories_are_the_definition(rng, n_symbols, order):
    for n in (1, 2, 40):
        sequence = rng.integers(n_symbols, size=n)
        corpus = [rng.integers(n_symbols, size=m) for m in (30, 1, 9, 0)]
        lists = [each.tolist() for each in corpus]
        short = by_definition([], sequence.tolist(), n_symbols, order, learns=True)
        long = by_definition(lists, sequence.tolist(), n_symbols, order, learns=False)
        np.testing.assert_allclose(short_term(sequence, n_symbols, order), short, rtol=1e-12)
        model = LongTerm(corpus, n_symbols, order)
        np.testing.assert_allclose(model.distributions(sequence), long, rtol=1e-12)


def test_groups_of_contexts_are_not_mixed_where_they_are_worked_on_in_parts(rng):
    """More symbols than are worked on at a time: against a running count."""
    sequence = rng.integers(3, size=9000)
    p = short_term(sequence, 3, order=1)
    counts, order_0 = np.zeros((3, 3)), np.zeros(3)
    for i, symbol in enumerate(sequence):
        q = np.full(3, 1 / 3)
        for heard in (order_0, counts[sequence[i - 1]] if i else np.zeros(3)):
            types = np.count_nonzero(heard)
            q = (heard + types * q) / (heard.sum() + types) if types else q
        assert np.abs(p[i] - q).max() < 1e-12
        order_0[symbol] += 1
        if i:
            counts[sequence[i - 1], symbol] += 1


def test_an_empty_corpus_and_an_empty_piece():
    assert short_term(np.zeros(0, int), 4, 3).shape == (0, 4)
    np.testing.assert_array_equal(LongTerm([], 4, 3).distributions(np.array([1, 2])), 0.25)
    assert LongTerm([np.array([1])], 4, 3).distributions(np.zeros(0, int)).shape == (0, 4)


def test_the_past_does_not_hear_the_future(rng):
    sequence = rng.integers(4, size=300)
    changed = np.append(sequence[:200], rng.integers(4, size=100))
    np.testing.assert_array_equal(short_term(sequence, 4, 5)[:201], short_term(changed, 4, 5)[:201])


def test_the_combination_weighs_by_entropy():
    sure, unsure = np.array([[0.9, 0.05, 0.05]]), np.array([[0.2, 0.4, 0.4]])
    h = entropy(np.concatenate([sure, unsure])) / np.log(3)
    weights = (1 / h**2) / (1 / h**2).sum()
    expected = sure ** weights[0] * unsure ** weights[1]
    np.testing.assert_allclose(combined([sure, unsure], 2.0), expected / expected.sum())
    plain = np.sqrt(sure * unsure)
    np.testing.assert_allclose(combined([sure, unsure], 0.0), plain / plain.sum())
    np.testing.assert_allclose(combined([sure, unsure], 200.0), sure, atol=1e-6)
    np.testing.assert_allclose(combined([sure, sure], 1.0), sure)


@pytest.mark.parametrize("bad", [np.array([0, 4]), np.array([-1]), np.array([0.5]), np.eye(2)])
def test_symbols_outside_the_alphabet_are_refused(bad):
    with pytest.raises(GibletError, match="symbol"):
        short_term(bad, 4, 1)
