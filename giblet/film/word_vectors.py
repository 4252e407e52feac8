"""Static word vectors from a file: word2vec, GloVe, fastText (.vec), model2vec folders."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from giblet.errors import GibletError

_LONGEST_WORD = 1000  # bytes


def word_vectors(path: str | Path, words: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Vectors of ``words``, (n_words, width) float32, and those that have none (zeros).

    A word is looked up as it stands, then in lower case, then without marks at its ends. The
    file is read once; memory holds the vectors of these words alone.

    Parameters
    ----------
    path
        word2vec's text or binary (``.bin``), GloVe's text, fastText's ``.vec``, or a folder of
        model2vec (``model.safetensors`` and ``tokenizer.json``).

    Raises
    ------
    GibletError
        No such file, not vectors, none for any of the words.
    """
    path = Path(path)
    if not path.exists():
        raise GibletError(f"word_model.vectors: {path}: no such file or folder")
    if path.is_dir():
        vectors, lacking = _of_folder(path, words)
    else:
        wanted = {form for word in words for form in _forms(word)}
        known = dict(_read(path, wanted))
        rows = [next((known[f] for f in _forms(w) if f in known), None) for w in words]
        width = next((len(row) for row in rows if row is not None), 1)
        vectors = np.stack([np.zeros(width) if row is None else row for row in rows])
        lacking = [word for word, row in zip(words, rows, strict=True) if row is None]
    if len(lacking) == len(words):
        raise GibletError(f"word_model.vectors: {path}: has a vector of none of {len(words)} words")
    return vectors.astype(np.float32), lacking


def _forms(word: str) -> list[str]:
    bare = re.sub(r"^\W+|\W+$", "", word)
    return list(dict.fromkeys([word, word.lower(), bare, bare.lower()]))


def _read(path: Path, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    with open(path, "rb") as file:
        head = file.readline(2**20).split()
        counted = len(head) == 2 and all(part.isdigit() for part in head)
        if counted and path.suffix == ".bin":
            yield from _read_binary(file, path, int(head[0]), int(head[1]), wanted)
            return
        width = int(head[1]) if counted else len(head) - 1
        if not counted:
            file.seek(0)
        for n, line in enumerate(file, 2 if counted else 1):
            parts = line.decode("utf-8", "replace").rstrip().split(" ")
            word = " ".join(parts[:-width])  # GloVe has words with spaces
            if width < 1 or len(parts) <= width:
                raise GibletError(f"{path}, line {n}: not a word and {max(width, 1)} numbers")
            if word in wanted:
                yield word, _numbers(parts[-width:], f"{path}, line {n}")


def _numbers(parts: list[str], where: str) -> np.ndarray:
    try:
        vector = np.array(parts, dtype=np.float32)
    except ValueError:
        raise GibletError(f"{where}: not numbers after the word") from None
    if not np.isfinite(vector).all():
        raise GibletError(f"{where}: NaN or infinite")
    return vector


def _read_binary(file, path: Path, n_words: int, width: int, wanted: set[str]):
    for _ in range(n_words):
        word = bytearray()
        while (byte := file.read(1)) != b" ":
            if not byte or len(word) > _LONGEST_WORD:
                raise GibletError(f"{path}: cut short, or not word2vec's binary format")
            word += byte
        values = file.read(4 * width)
        if len(values) < 4 * width:
            raise GibletError(f"{path}: cut short, or not word2vec's binary format")
        name = word.decode("utf-8", "replace").lstrip("\n")
        if name in wanted:
            yield name, np.frombuffer(values, dtype="<f4")


def _of_folder(folder: Path, words: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """model2vec: the mean of a word's tokens."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise GibletError(f"word_model.vectors: {folder}: has no {name}, as model2vec's has")
    arrays = load_file(folder / "model.safetensors")
    if "embeddings" not in arrays:
        raise GibletError(f"word_model.vectors: {folder}: model.safetensors has no embeddings")
    table, weights, mapping = (arrays.get(k) for k in ("embeddings", "weights", "mapping"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    unknown = tokenizer.token_to_id("[UNK]")
    vectors, lacking = np.zeros((len(words), table.shape[1]), dtype=np.float32), []
    for row, word in enumerate(words):
        ids = [i for i in tokenizer.encode(word, add_special_tokens=False).ids if i != unknown]
        if not ids:
            lacking.append(word)
            continue
        own = table[ids if mapping is None else mapping[ids]].astype(np.float32)
        vectors[row] = (own if weights is None else own * weights[ids][:, None]).mean(axis=0)
    return vectors, lacking
