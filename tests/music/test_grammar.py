"""The grammar allows the canonical form and nothing else, by comparison with `tokenize`."""

import numpy as np
import pytest
import torch

from giblet.music.grammar import Grammar, possible_targets
from giblet.music.midi import read_midi
from giblet.music.tokens import VOCABULARY as V, detokenize, tokenize


def canonical(tokens):
    return tokenize(detokenize(np.array(tokens, np.int32))).tolist()


KINDS = (V.note_on, V.note_off, V.time_shift, V.velocity)


def walk(rng, n_tokens=200):
    """Tokens drawn evenly among the kinds of what is possible, until the piece may end."""
    grammar, tokens = Grammar(), [V.bos]
    while True:
        possible = grammar.possible(torch.tensor([tokens[-1:]]))[0, -1].numpy()
        if len(tokens) > n_tokens and possible[V.eos]:
            return tokens[1:], grammar
        kinds = [np.flatnonzero(possible[: V.size][k]) + k.start for k in KINDS]
        if len(tokens) > n_tokens:  # no more notes
            kinds = kinds[1:3]
        kinds = [kind for kind in kinds if len(kind)] or [np.flatnonzero(possible)]
        tokens.append(int(rng.choice(kinds[rng.integers(len(kinds))])))


def test_what_it_allows_is_canonical(rng):
    for _ in range(5):
        tokens, _grammar = walk(rng)
        assert {sum(t >= k.start for k in KINDS) for t in tokens} == {1, 2, 3, 4}
        assert canonical(tokens) == tokens


def test_what_it_forbids_is_not_canonical(rng):
    tokens, _grammar = walk(rng, 60)
    allowed = possible_targets(torch.tensor([V.bos, *tokens])).numpy()
    for n in range(1, len(tokens), 7):
        for token in np.flatnonzero(~allowed[n][: V.size]):
            begun = [*tokens[:n], int(token)]
            ends = [V.time_shift_token(1)] + [V.note_off_token(p) for p in range(128)]
            assert canonical(begun + ends)[: n + 1] != begun


def test_parts_are_read_as_the_whole(rng):
    pieces = [[V.bos, *walk(rng)[0]][:200] for _ in range(3)]
    ids = torch.tensor(pieces)
    whole = Grammar().possible(ids)
    for size in (1, 7, 64):
        grammar = Grammar()
        parts = [grammar.possible(part) for part in ids.split(size, dim=1)]
        assert torch.equal(torch.cat(parts, dim=1), whole)


def test_after_its_end_a_piece_has_pad_alone():
    ids = torch.tensor([[V.bos, 771, 60, 300, 188, V.eos, V.pad]])
    possible = Grammar().possible(ids)[0]
    assert possible[4, V.eos]
    assert not possible[3, V.eos]  # 60 sounds
    assert possible[5:].nonzero()[:, 1].tolist() == [V.pad, V.pad]


def test_real_pieces_are_allowed(shared):
    files = sorted((shared / "music" / "data" / "validation").rglob("*.mid"))
    if not files:
        pytest.skip("no music in GIBLET_SHARED")
    for file in files[::12]:
        tokens = tokenize(read_midi(file)).astype(np.int64)
        possible = possible_targets(torch.from_numpy(np.concatenate([[V.bos], tokens])))
        assert possible[np.arange(len(tokens)), tokens].all()
        assert possible[-1, V.eos]
