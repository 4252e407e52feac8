"""Words per TR. Oracles: overlaps counted by hand, and transformers run with padding."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from giblet.errors import GibletError
from giblet.film.text import count_words, embed_words, hashed_words


def annotated(*rows):
    return pd.DataFrame(rows, columns=["onset", "duration", "text"])


def test_each_tr_has_the_mean_of_its_rows_weighted_by_overlap():
    table = annotated((0.0, 1.5, "one"), (1.0, 1.0, "two"), (6.5, 1.0, "three"))
    features, spoken = embed_words(table, t_r=2.0, n_trs=5, duration=10.0)
    one, two, three = hashed_words(["one", "two", "three"])
    assert features.dtype == np.float32
    assert spoken.tolist() == [True, False, False, True, False]
    np.testing.assert_allclose(features[0], (1.5 * one + 1.0 * two) / 2.5, atol=1e-6)
    np.testing.assert_allclose(features[3], three, atol=1e-6)
    assert not features[~spoken].any()


def test_a_row_across_an_edge_belongs_to_both_trs_and_one_at_the_edge_to_the_later():
    table = annotated((1.0, 1.0, "over"), (3.0, 1.5, "at the edge"))
    features, spoken = embed_words(table, t_r=1.5, n_trs=3, duration=4.5)
    over, at_the_edge = hashed_words(["over", "at the edge"])
    np.testing.assert_allclose(features, [over, over, at_the_edge], atol=1e-6)
    assert spoken.all()


def test_no_overlap_is_missed_in_rows_of_any_order_and_length(rng):
    """Against every row with every TR; some rows last far beyond those that begin after them."""
    rows = [(onset, rng.exponential(4), f"word {onset}") for onset in rng.uniform(0, 50, 40)]
    table = annotated(*rows, (60.0, 1.0, "..."), (61.0, 1.0, "after a long silence"))
    for order in (table, table.sort_values("onset"), table.iloc[::-1]):
        features, spoken = embed_words(order, t_r=1.5, n_trs=60, duration=90.0)
        begins = 1.5 * np.arange(60)[:, None]
        ends = (order["onset"] + order["duration"]).to_numpy()
        overlap = np.minimum(ends, begins + 1.5) - np.maximum(order["onset"].to_numpy(), begins)
        overlap = np.clip(overlap, 0, None) * (order["text"] != "...").to_numpy()
        np.testing.assert_array_equal(spoken, overlap.any(axis=1))
        weights = overlap[spoken] / overlap[spoken].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            features[spoken], weights @ hashed_words(list(order["text"])), atol=1e-6
        )


def test_a_word_without_duration_counts_where_it_is_said():
    features, spoken = embed_words(annotated((3.0, 0.0, "now")), t_r=1.5, n_trs=4, duration=6.0)
    assert spoken.tolist() == [False, False, True, False]
    np.testing.assert_allclose(features[2], hashed_words(["now"])[0], atol=1e-6)


def test_what_is_no_word_is_not_spoken():
    table = annotated((0.0, 1.0, "..."), (1.5, 1.0, "I"))
    _, spoken = embed_words(table, t_r=1.5, n_trs=2, duration=3.0)
    assert spoken.tolist() == [False, True]


def test_nobody_speaks():
    features, spoken = embed_words(annotated(), t_r=1.5, n_trs=2, duration=3.0)
    assert features.shape == (2, 1024)
    assert not features.any()
    assert not spoken.any()


def test_the_same_words_have_the_same_vector_and_others_another():
    texts = ["The bear walks home", "the bear walks home!", "The bear runs home", "Rain at night"]
    likeness = hashed_words(texts) @ hashed_words(texts).T
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-6)
    assert likeness[0, 1] == pytest.approx(1)
    assert likeness[0, 1] > likeness[0, 2] > 0.2 > abs(likeness[0, 3])


def test_a_row_past_the_end_of_the_film_is_refused_by_name():
    embed_words(annotated((8.0, 3.0, "long goodbye")), t_r=1.5, n_trs=6, duration=10.0)
    for row in ((10.0, 0.5, "late word"), (9.0, 3.0, "late word")):
        with pytest.raises(GibletError, match=r"'late word', .* past the end .*10\.00 s"):
            embed_words(annotated((0.0, 1.0, "a"), row), t_r=1.5, n_trs=6, duration=10.0)


@pytest.fixture
def small_bert(tmp_path):
    """Folder of a random BERT of 16 features whose tokens are lower-case words."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "morning", "night"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    return str(tmp_path / "bert")


def test_a_language_model_embeds_the_mean_over_tokens(small_bert):
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = ["good morning", "night", "good good good night " * 10]
    table = annotated(*[(i * 1.5, 1.0, text) for i, text in enumerate(texts)])
    features, spoken = embed_words(table, 1.5, 4, duration=6.0, embedder=small_bert)
    assert features.shape == (4, 16)
    assert spoken.tolist() == [True, True, True, False]

    tokens = AutoTokenizer.from_pretrained(small_bert)(
        texts, padding=True, truncation=True, max_length=12, return_tensors="pt"
    )
    with torch.no_grad():
        states = AutoModel.from_pretrained(small_bert).eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    expected = (states * mask).sum(1) / mask.sum(1)
    np.testing.assert_allclose(features[:3], expected.numpy(), atol=1e-5)


def test_a_model_that_is_not_there_gets_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for embedder in (str(tmp_path / "nowhere"), "nobody/no-such-model"):
        with pytest.raises(GibletError, match="no such folder") as caught:
            embed_words(annotated((0, 1, "a")), 1.5, 1, duration=1.5, embedder=embedder)
        assert "\n" not in str(caught.value)
        assert embedder in str(caught.value)


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, 5), st.integers(0, 6)), min_size=1, max_size=9
    )
)
def test_every_word_is_counted_once(rows):
    said = pd.DataFrame(
        [(onset, length, "word, " * n) for onset, length, n in rows],
        columns=["onset", "duration", "text"],
    )
    counts = count_words(said, t_r=1.5, n_trs=20)  # 30 s
    assert counts.sum() == pytest.approx(sum(n for _, _, n in rows), abs=1e-4)
    assert (counts >= 0).all()


def test_words_are_spread_evenly_over_their_rows(rng):
    """By the overlap of every row with every TR."""
    begin, length, n = rng.uniform(-1, 32, 60), rng.uniform(0.01, 9, 60), rng.integers(0, 7, 60)
    texts = ["word " * k for k in n]
    said = pd.DataFrame({"onset": begin, "duration": length, "text": texts})
    edges = 1.5 * np.arange(21)[:, None]
    overlap = np.minimum(edges[1:], begin + length) - np.maximum(edges[:-1], begin)
    expected = np.clip(overlap, 0, None) @ (n / length)
    np.testing.assert_allclose(count_words(said, 1.5, 20), expected, atol=1e-4)
