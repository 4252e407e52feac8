"""Feature spaces of words, by TR: layers of a language model, surprisal, vectors, form."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.film.model_layers import Layers
from giblet.film.word_models import WordModel, word_form
from giblet.film.word_vectors import word_vectors
from giblet.timing import TOLERANCE, on_edges, tr_onsets

_MOST_NAMED = 5  # words without a vector


def single_words(annotations: pd.DataFrame) -> pd.DataFrame:
    """Rows of one word each, columns onset, duration (s of film), text; words of a row share it.

    >>> rows = pd.DataFrame({"onset": [1.0], "duration": [2.0], "text": ["Good  morning!"]})
    >>> single_words(rows).values.tolist()
    [[1.0, 1.0, 'Good'], [2.0, 1.0, 'morning!']]
    """
    rows = []
    for onset, duration, text in annotations[["onset", "duration", "text"]].itertuples(index=False):
        words = [word for word in str(text).split() if re.search(r"\w", word)]
        each = duration / max(1, len(words))
        rows += [(onset + i * each, each, word) for i, word in enumerate(words)]
    return pd.DataFrame(rows, columns=["onset", "duration", "text"])


def word_spaces(
    words: pd.DataFrame,
    t_r: float,
    n_trs: int,
    *,
    begins: Sequence[float] = (0.0,),
    name: str = "none",
    layers: Layers = (0.5,),
    n_before: int = 64,
    vectors: str | None = None,
    form: bool = False,
    language: str = "en",
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Space → features (n_trs, n_features) float32, and warnings.

    ``words``: rows as of `single_words`, by onset. ``begins``: film times (s) at which stimuli
    begin; the context of a word does not reach back into another one. The other arguments are
    settings of ``word_model``.
    ``layer_<n>`` and ``vectors`` are means over the words that begin in a TR, 0 without any;
    ``prediction`` (surprisal, entropy; nats) and ``form`` (letters, frequency) are sums of what a
    word has above the mean of all words: plain sums would hold the number of words, which is a
    space of its own. Raises GibletError as `WordModel` and `word_vectors`, and without any word.
    """
    if words.empty:
        raise GibletError("word_model: the annotations have no word: no row has a letter or digit")
    texts, by_word, warnings = words["text"].tolist(), {}, []
    means = {}
    if name != "none":
        model = WordModel(name, layers, n_before)
        stimulus = np.searchsorted(begins, words["onset"] + TOLERANCE, side="right")
        parts = [model.features(part.tolist()) for _, part in words["text"].groupby(stimulus)]
        states, surprisal, entropy = map(np.concatenate, zip(*parts, strict=True))
        means |= {f"layer_{n}": states[:, i] for i, n in enumerate(model.layers)}
        by_word["prediction"] = np.stack([surprisal, entropy], axis=1)
    if vectors is not None:
        means["vectors"], lacking = word_vectors(vectors, texts)
        if lacking:
            some = ", ".join(dict.fromkeys(lacking[:_MOST_NAMED]))
            warnings.append(f"words: {len(lacking)} of {len(texts)} have no vector ({some})")
    if form:
        by_word["form"], _names, more = word_form(texts, language)
        warnings += more
    onsets = on_edges(words["onset"].to_numpy(float), t_r)
    trs = np.searchsorted(tr_onsets(n_trs + 1, t_r), onsets, side="right") - 1
    inside = (trs >= 0) & (trs < n_trs)
    counts = np.bincount(trs[inside], minlength=n_trs)
    spaces = {}
    for space, values in (means | by_word).items():
        in_film = values[inside] if space in means else values[inside] - values.mean(axis=0)
        total = np.zeros((n_trs, values.shape[1]), dtype=np.float32)
        np.add.at(total, trs[inside], in_film)
        spaces[space] = total / np.maximum(counts, 1)[:, None] if space in means else total
    return spaces, warnings
