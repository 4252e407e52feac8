"""PPM* against IDyOM, counting by hand, and a slow form that follows the definition."""

from fractions import Fraction

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music import ppm
from giblet.music.ppm import LongTerm, combined, entropy, short_term


def by_definition(corpora, sequence, n_symbols, order, learns, stops_when_sure=True):
    """Exact probabilities: every context of every length looked up in every past sequence.

    ``stops_when_sure``: the longest context is the shortest that one symbol alone has followed.
    """
    rows = []
    for i in range(len(sequence)):
        past = [*corpora, *([sequence[:i]] if learns else [])]
        levels = []
        for length in range(min(order, i) + 1):
            context, counts = sequence[i - length : i], [0] * n_symbols
            for each in past:
                for j in range(length, len(each)):
                    counts[each[j]] += each[j - length : j] == context
            if not any(counts):
                break
            levels.append(counts)
            if stops_when_sure and sum(count > 0 for count in counts) == 1:
                break
        p = smoothed(levels, n_symbols, set())
        rows.append([float(q / sum(p)) for q in p])
    return np.array(rows).reshape(-1, n_symbols)


def smoothed(levels, n_symbols, predicted):
    """The recursion of the module's docstring, from the last of the levels on."""
    if not levels:
        return [Fraction(1, n_symbols + 1 - len(predicted))] * n_symbols
    counts = levels[-1]
    n = sum(count for s, count in enumerate(counts) if s not in predicted)
    types = sum(count > 0 for count in counts)
    seen = {s for s, count in enumerate(counts) if count}
    lower = smoothed(levels[:-1], n_symbols, predicted | seen if n else predicted)
    return (
        [(c + types * q) / (n + types) for c, q in zip(counts, lower, strict=True)] if n else lower
    )


def test_probabilities_by_hand():
    # a a b a, of three symbols. Before the last: a twice, b once; after b nothing. Order 0:
    # (2 + 2 q, 1 + 2 q, 2 q) / 5 with q = 1 / (3 + 1 - 2)
    p = short_term(np.array([0, 0, 1, 0]), n_symbols=3, order=2)
    np.testing.assert_allclose(p[0], 1 / 3)
    np.testing.assert_allclose(p[1], np.array([1 + 1 / 3, 1 / 3, 1 / 3]) / 2)
    np.testing.assert_allclose(p[3], np.array([3, 2, 1]) / 6)


def in_alphabet(text):
    return np.unique(text, return_inverse=True)[1]


def test_distributions_are_idyoms():
    """What IDyOM gives for abracadabra, as the R package ppm has it in its tests."""
    published = [
        [0.2, 0.2, 0.2, 0.2, 0.2],
        [0.6, 0.1, 0.1, 0.1, 0.1],
        [0.33333334, 0.33333334, 0.11111111, 0.11111111, 0.11111111],
        [0.25, 0.25, 0.125, 0.125, 0.25],
        [0.2, 0.53333336, 0.06666668, 0.06666668, 0.13333336],
        [0.26666665, 0.2, 0.2, 0.13333331, 0.2],
        [0.20833334, 0.2916667, 0.2916667, 0.083333336, 0.125],
        [0.25, 0.1875, 0.1875, 0.1875, 0.1875],
        [0.2093023, 0.21705426, 0.21705426, 0.21705426, 0.13953489],
        [0.19148937, 0.14893615, 0.12765956, 0.12765956, 0.40425533],
        [0.4347826, 0.1521739, 0.13043477, 0.13043477, 0.1521739],
    ]
    found = short_term(in_alphabet(list("abracadabra")), 5, order=10)
    np.testing.assert_allclose(found, published, atol=1e-6)


def test_surprisal_of_a_prelude_is_idyoms():
    """Louis Couperin, unmeasured prelude no. 7: 4.195832 bits a note, from the same tests."""
    pitches = """45 52 57 60 64 69 45 52 57 60 64 69 45 45 44 52 60 60 59 64 64 71 45 57 76 74 72
    71 72 72 72 72 72 72 72 72 52 64 69 69 71 71 71 71 71 71 50 52 54 55 52 53 52 50 48 48 47 69
    71 72 55 74 62 67 48 67 69 71 57 72 72 57 64 65 72 72 72 60 62 66 71 71 62 68 66 68 64 64 64
    64 59 59 60 64 68 68 69 69 50 49 49 50 59 64 64 65 69 47 48 50 52 53 50 50 52 60 64 69 52 60
    60 59 69 69 68 68 68 45 52 57 61 64 69 45 52 57 62 61 64 69"""
    symbols = in_alphabet(pitches.split())
    p = short_term(symbols, symbols.max() + 1, order=10)
    bits = -np.log2(p[np.arange(len(symbols)), symbols]).mean()
    assert bits == pytest.approx(4.195832, abs=1e-5)


TRAINING = np.array([0, 1, 2, 0, 1, 2, 0, 2, 1])
RUNS = {  # surprisal in bits, of the short-term, the long-term memory, and both
    (0, 1, 0, 2, 0, 1, 0, 2, 0): """
    1.5849625 2.5849626 1.321928 3.321928 1.3785114 1.5145731 0.807355 0.91358525 0.7776076
    1.5849625 1.1699251 2.5849626 1.5849625 1.7004396 1.4150375 2.169925 1.5849625 1.7004396
    1.5849625 2.2025898 2.2090018 2.8674312 1.5558543 1.4603279 1.3132129 1.1521357 1.1203493""",
    (1, 0, 1, 2, 0): """
    1.5849625 2.5849626 1.321928 3.321928 1.7004396
    1.5849625 2.5849626 1.1699251 0.5849624 0.58496255
    1.5849625 2.321928 1.2152904 1.4638623 0.7085516""",
}


def bits(distributions, symbols):
    return -np.log2(distributions[np.arange(len(symbols)), symbols])


@pytest.mark.parametrize("sequence", RUNS)
def test_memories_and_their_combination_are_idyoms(sequence):
    """Runs of IDyOM (order bound 3, escape C, exclusion, no update exclusion, bias 7), as the R
    package ppidyom has them in its tests."""
    symbols = np.array(sequence)
    of_short, of_long, of_both = np.array(RUNS[sequence].split(), float).reshape(3, -1)
    short = short_term(symbols, 3, order=3)
    long = LongTerm([TRAINING], 3, order=3).distributions(symbols)
    np.testing.assert_allclose(bits(short, symbols), of_short, atol=1e-5)
    # after 2 0 1: only 2 has followed 1, so that is our context; IDyOM, with a bound, takes 2 0 1
    corpus = [TRAINING.tolist()]
    bound = by_definition(corpus, list(sequence), 3, 3, learns=False, stops_when_sure=False)
    np.testing.assert_allclose(bits(bound, symbols), of_long, atol=1e-5)
    np.testing.assert_allclose(bits(combined([short, bound], 7), symbols), of_both, atol=1e-5)
    same = np.abs(long - bound).max(axis=1) < 1e-9
    assert (~same).sum() == (len(sequence) == 9)
    found = bits(combined([short, long], 7), symbols)
    np.testing.assert_allclose(found[same], of_both[same], atol=1e-5)


def test_surprisal_of_a_melody_is_close_to_idyoms_default():
    """A Chinese song (shanx002 of the Essen collection) by IDyOM's short-term memory with its
    defaults, escape AX and update exclusion, as the Python package py2lispIDyOM has it."""
    pitches = """83 83 83 88 78 81 81 78 81 78 76 71 83 83 83 88 78 81 81 78 81 81 76"""
    alphabet = [57, 59, 60, 61, 62, *range(64, 75), *range(76, 87), 88, 89, 90]
    published = """4.906891 1.491853 1.491853 6.491853 6.1996727 6.073249 3.0401568 3.5298207
    1.1905468 2.0866225 8.292321 6.634206 2.675565 1.1791527 1.7250671 1.3003412 1.3499427
    0.88539267 1.2101372 0.9239124 1.1629243 2.356527 5.6879487"""
    theirs = np.array(published.split(), float)
    symbols = np.searchsorted(alphabet, np.array(pitches.split(), int))
    ours = bits(short_term(symbols, len(alphabet), order=22), symbols)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert abs(ours.mean() - theirs.mean()) < 0.1


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


def test_symbols_that_never_stand_are_unlikely_alike(rng):
    sequence = rng.choice([1, 4], size=30)
    p = short_term(sequence, 6, 3)
    np.testing.assert_allclose(p, by_definition([], sequence.tolist(), 6, 3, learns=True))
    np.testing.assert_array_equal(p[:, [0, 2, 3]], p[:, [5]].repeat(3, axis=1))


def test_contexts_are_not_mixed_where_they_are_worked_on_in_parts(rng, monkeypatch):
    sequence = rng.integers(3, size=600)
    corpus = [rng.integers(3, size=400)]
    whole = short_term(sequence, 3, 4), LongTerm(corpus, 3, 4).distributions(sequence)
    monkeypatch.setattr(ppm, "_ROWS", 7)
    parts = short_term(sequence, 3, 4), LongTerm(corpus, 3, 4).distributions(sequence)
    np.testing.assert_array_equal(whole, parts)


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
