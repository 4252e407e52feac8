"""Static word vectors from a file: word2vec, GloVe, fastText (.vec), model2vec folders."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from giblet.errors import GibletError

_LONGEST_WORD = 1000  # bytes
_PEEK, _FIRST_LINES = 2**18, 100  # bytes at a file's beginning, and lines
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text has, and float32 has
_NO_VECTORS = {
    b"\xba\x16\x4f\x2f": "fastText's own model; take the .vec file of the same vectors",
    b"\x1f\x8b": "compressed; unpack it first (gunzip)",
    b"PK\x03\x04": "compressed; unpack it first (unzip)",
}


def word_vectors(path: str | Path, words: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Vectors of ``words``, (n_words, width) float32, and those that have none (zeros).

    A word is looked up as it stands, then in lower case, then without marks at its ends. The
    file is read once; memory holds the vectors of these words alone.

    Parameters
    ----------
    path
        word2vec's text or binary, GloVe's text, fastText's ``.vec``, UTF-8 or Latin-1, or a folder
        of model2vec (``model.safetensors`` and ``tokenizer.json``).

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
        known: dict[str, np.ndarray] = {}
        for word, vector in _read(path, wanted):
            known.setdefault(word, vector)  # the first of duplicates, as gensim
        rows = [next((known[f] for f in _forms(w) if f in known), None) for w in words]
        width = next((len(row) for row in rows if row is not None), 1)
        vectors = np.stack([np.zeros(width) if row is None else row for row in rows])
        lacking = [word for word, row in zip(words, rows, strict=True) if row is None]
    if len(lacking) == len(words):
        raise GibletError(f"word_model.vectors: {path}: has a vector of none of {len(words)} words")
    return vectors.astype(np.float32), lacking


def _forms(word: str) -> list[str]:
    """Ways to write a word, the nearest first; in NFC, as `_decoded` has those of files."""
    word = unicodedata.normalize("NFC", word)
    bare = re.sub(r"^\W+|\W+$", "", word)
    forms = [word, word.lower(), bare, bare.lower()]
    return list(dict.fromkeys([*forms, *(form.replace("\u2019", "'") for form in forms)]))


def _decoded(text: bytes) -> str:
    """Text as UTF-8 in NFC; as Latin-1 if it is not valid UTF-8, as in old files."""
    try:
        return unicodedata.normalize("NFC", text.decode("utf-8"))
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _read(path: Path, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    with open(path, "rb") as file:
        beginning = file.read(_PEEK)
        for magic, what in _NO_VECTORS.items():
            if beginning.startswith(magic):
                raise GibletError(f"word_model.vectors: {path}: {what}")
        file.seek(3 if beginning.startswith(b"\xef\xbb\xbf") else 0)  # UTF-8's mark
        start, head = file.tell(), file.readline(2**20).split()
        counted = len(head) == 2 and all(part.isdigit() for part in head)
        if counted and _CONTROL.search(beginning):
            yield from _read_binary(file, path, int(head[0]), int(head[1]), wanted)
            return
        if not counted:
            file.seek(start)
        width = int(head[1]) if counted else _width(beginning)
        yield from _read_text(file, path, width, int(head[0]) if counted else 0, wanted)


def _width(beginning: bytes) -> int:
    """Numbers on a line: the fewest of the first lines, as some words have spaces."""
    lines = [line for line in beginning.splitlines()[:_FIRST_LINES] if line.strip()]
    whole = lines[:-1] if len(beginning) == _PEEK and len(lines) > 1 else lines
    return min((len(line.split()) for line in whole), default=1) - 1


def _read_text(file, path: Path, width: int, n_words: int, wanted: set[str]):
    n_read = 0
    for n, line in enumerate(file, 2 if n_words else 1):
        parts = re.split("[ \t]", _decoded(line).rstrip())
        if parts == [""]:
            continue
        word = " ".join(parts[:-width])  # GloVe has words with spaces
        if width < 1 or len(parts) <= width:
            raise GibletError(f"{path}, line {n}: not a word and {max(width, 1)} numbers")
        n_read += 1
        if word in wanted:
            yield word, _numbers(parts[-width:], f"{path}, line {n}")
    if n_read < n_words:
        raise GibletError(f"{path}: cut short: {n_read:,} of {n_words:,} words")


def _numbers(parts: list[str], where: str) -> np.ndarray:
    try:
        vector = np.array(parts, dtype=np.float32)
    except ValueError:
        raise GibletError(f"{where}: not numbers after the word") from None
    return _finite(vector, where)


def _finite(vector: np.ndarray, where: str) -> np.ndarray:
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
        name = _decoded(bytes(word).lstrip(b"\n"))
        if name in wanted:
            yield name, _finite(np.frombuffer(values, dtype="<f4"), str(path))
    if file.read(2).strip():
        raise GibletError(f"{path}: has data after {n_words:,} words of {width} float32 numbers")


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
