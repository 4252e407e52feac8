"""Text features of a film: one vector per TR from the table of a transcript."""

from itertools import pairwise

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.io.hub import model_folder
from giblet.timing import TOLERANCE, check_t_r, on_edges, tr_onsets, whole_trs

_SHORTEST = 1e-3  # s: a row without duration still counts
_HOUR = 3600  # s
# letters, and the vowel signs of Hebrew, Arabic and India, which Python's \w leaves out
_WORD = r"[\w\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e]+"
NO_WORDS = "no words were given (annotations): none are learned, none predict the brain"


def embed_words(
    annotations: pd.DataFrame,
    t_r: float,
    n_trs: int,
    duration: float,
    embedder: str = "hashing",
    n_features: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """One text vector per TR: the mean of the rows that overlap it, weighted by the overlap.

    Parameters
    ----------
    annotations : columns onset, duration (s of film) and text, as from
        `giblet.film.annotations.read_annotations`.
    t_r : seconds.
    duration : how long the film is, in seconds.
    embedder : ``"hashing"``, or a Hugging Face id of, or folder with, a text encoder and its
        tokenizer; rows longer than it takes are cut.
    n_features : width of ``"hashing"``; a model has its own.

    Returns
    -------
    features : (n_trs, n_features) float32; zeros in TRs without speech.
    spoken : (n_trs,) bool, whether a TR has words. Rows of mere punctuation have none.

    Raises
    ------
    GibletError
        A row begins after the film's end, or ends more than a TR after it; no such model.

    >>> rows = pd.DataFrame({"onset": [0.5], "duration": [2.0], "text": ["Good morning"]})
    >>> features, spoken = embed_words(rows, t_r=1.5, n_trs=3, duration=4.6)
    >>> features.shape, spoken.tolist()
    ((3, 1024), [True, True, False])
    """
    check_t_r(t_r)
    _refuse_past_the_end(annotations, duration, t_r)
    texts = annotations["text"].tolist()
    if embedder == "hashing":
        vectors = hashed_words(texts, n_features)  # (n_rows, n_features)
    else:
        vectors = _model_vectors(texts, embedder)
    onsets, ends = _spoken_times(annotations, t_r)
    ends[~vectors.any(axis=1)] = -np.inf  # no words: overlaps with nothing
    return _mean_per_tr(vectors, onsets, ends, tr_onsets(n_trs + 1, t_r))


def count_words(annotations: pd.DataFrame, t_r: float, n_trs: int) -> np.ndarray:
    """Spoken words per TR, (n_trs,) float32; those of a row are spread evenly over it.

    >>> rows = pd.DataFrame({"onset": [0.5], "duration": [2.0], "text": ["Good morning"]})
    >>> count_words(rows, t_r=1.5, n_trs=3).tolist()
    [1.0, 1.0, 0.0]
    """
    onsets, ends = _spoken_times(annotations, check_t_r(t_r))
    edges = tr_onsets(n_trs + 1, t_r)
    n_words, counts = annotations["text"].str.count(_WORD).to_numpy(float), np.zeros(n_trs)
    for onset, end, n in zip(onsets, ends, n_words, strict=True):
        first, last = np.searchsorted(edges, (onset, end))
        first, last = max(0, first - 1), min(last, n_trs)
        spoken = np.clip(
            (edges[first : last + 1] - onset) / (end - onset), 0, 1
        )  # share of the row
        counts[first:last] += n * np.diff(spoken)
    return counts.astype(np.float32)


def _spoken_times(annotations: pd.DataFrame, t_r: float) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and ends (s), (n_rows,) each; float noise does not carry a row across a TR's edge."""
    onsets = annotations["onset"].to_numpy(float)
    ends = onsets + np.maximum(annotations["duration"].to_numpy(float), _SHORTEST)
    return on_edges(onsets, t_r), on_edges(ends, t_r)


def outside_warnings(annotations: pd.DataFrame, duration: float, t_r: float) -> list[str]:
    """Warnings of rows that no TR includes; an empty list if all fit. Arguments as `embed_words`.

    Raises GibletError as it does.

    >>> rows = pd.DataFrame({"onset": [0.5, 9.1], "duration": [2.0, 1.0], "text": ["a", "b"]})
    >>> for line in outside_warnings(rows, duration=9.8, t_r=1.5): print(line)
    words: 1 rows end after the film (9.80 s)
    words: 1 rows begin after the last whole TR (9.00 s) and are left out
    """
    _refuse_past_the_end(annotations, duration, t_r)
    last = tr_onsets(whole_trs(duration, t_r) + 1, t_r)[-1]
    beyond = annotations["onset"] + annotations["duration"] > duration + _SHORTEST
    lost = annotations["onset"] >= last - TOLERANCE
    lines = {
        f"rows end after the film ({duration:.2f} s)": beyond.sum(),
        f"rows begin after the last whole TR ({last:.2f} s) and are left out": lost.sum(),
    }
    return [f"words: {n} {what}" for what, n in lines.items() if n]


def _refuse_past_the_end(annotations: pd.DataFrame, duration: float, t_r: float) -> None:
    onset = annotations["onset"]
    end = onset + annotations["duration"]
    late = (onset >= duration - TOLERANCE) | (end > duration + t_r + TOLERANCE)
    if late.any():
        row = annotations[late].iloc[0]
        raise GibletError(
            f"annotation {row['text'][:40]!r}, {row['onset']:.2f} s to "
            f"{row['onset'] + row['duration']:.2f} s, is past the end of the film "
            f"({duration:.2f} s). {_advice(onset.min())}"
        )


def _advice(first: float) -> str:
    """What to do about words past the film's end, of which the first begins at ``first`` s."""
    if first >= _HOUR and first % _HOUR < _HOUR / 6:
        return (
            f"The first begins at {first:.0f} s: are these time codes of an editor, which start at "
            "an hour? Shift them to start at 0"
        )
    return (
        "Is it the right film, and are its times in seconds? For milliseconds set "
        "words.unit_seconds: 0.001"
    )


def _mean_per_tr(vectors, onsets, ends, edges) -> tuple[np.ndarray, np.ndarray]:
    """Overlap-weighted mean of ``vectors`` (n_rows, n_features) between ``edges`` (n_trs + 1,)."""
    features = np.zeros((len(edges) - 1, vectors.shape[1]), dtype=np.float32)
    spoken = np.zeros(len(features), dtype=bool)
    reached = np.maximum.accumulate(ends)  # by this row or one before
    firsts = np.searchsorted(reached, edges[:-1], side="right")
    begun = np.minimum.accumulate(onsets[::-1])[::-1]  # of this row and all after
    stops = np.searchsorted(begun, edges[1:])
    for i, (begin, end) in enumerate(pairwise(edges)):
        near = slice(firsts[i], stops[i])
        overlap = np.minimum(ends[near], end) - np.maximum(onsets[near], begin)  # (n_near,) s
        rows = np.flatnonzero(overlap > 0)
        if len(rows):
            features[i] = np.average(vectors[near][rows], axis=0, weights=overlap[rows])
            spoken[i] = True
    return features, spoken


def hashed_words(texts: list[str], n_features: int = 1024) -> np.ndarray:
    """Words and pairs of words counted in hashed bins, (n_texts, n_features) float32, norm 1.

    Same text, same vector, on every machine and with no vocabulary to fit (feature hashing,
    Weinberger et al. 2009). A text without words is a row of zeros.

    >>> same, other = hashed_words(["I see", "i  SEE!", "nobody there"])[0] @ hashed_words(
    ...     ["i see", "Nobody there"]).T
    >>> round(float(same), 3), round(float(other), 3)
    (1.0, 0.0)
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=n_features, ngram_range=(1, 2), token_pattern=_WORD, dtype=np.float32
    )
    if not texts:
        return np.zeros((0, n_features), dtype=np.float32)
    return hashing.transform(texts).toarray()


def _model_vectors(texts: list[str], embedder: str) -> np.ndarray:
    """Mean of a language model's last layer over the tokens of each text, (n_texts, width)."""
    import torch

    tokenizer, model = _loaded_model(embedder)
    longest = min(
        tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", np.inf)
    )
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for row, text in enumerate(texts):  # one by one: no padding to mask
            tokens = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")
            states = model(**tokens).last_hidden_state  # (1, n_tokens, width)
            vectors[row] = states.mean(dim=1)[0].numpy()
    return vectors


def _loaded_model(embedder: str):
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder(embedder, "text_model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        options = {"trust_remote_code": False, "use_safetensors": True}
        return tokenizer, AutoModel.from_pretrained(folder, **options).eval()
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise GibletError(f"text_model {embedder!r}: not a language model ({reason})") from error
