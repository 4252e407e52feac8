"""How well each codebook is told from the bottleneck, and how much of it the film uses."""

import numpy as np
import pandas as pd
import torch

from giblet.dataset import FilmData
from giblet.models.autoencoder import Autoencoder
from giblet.models.reading import bottlenecks


def codebook_table(autoencoder: Autoencoder, data: FilmData) -> pd.DataFrame:
    """One row a codebook: ``codebook used perplexity accuracy most_common``.

    used, perplexity: of the whole film's codes, see `usage`. accuracy: share of the test part's
    codes that the bottleneck gives back. most_common: share of them that are the training part's
    most frequent code, which is what guessing would reach.
    """
    codes, size = data.film["audio"].numpy(), autoencoder.shapes.codebook_size
    test, train = codes[data.where("test")], codes[data.where("train")]
    bottleneck = torch.from_numpy(bottlenecks(autoencoder, data)[data.where("test")])
    with torch.inference_mode():
        guess = autoencoder.decode_audio(bottleneck).numpy()
    rows = [
        {"codebook": k + 1}
        | usage(codes[:, k], size)
        | {"accuracy": share_equal(guess[:, k], test[:, k])}
        | {"most_common": share_equal(_most_common(train[:, k]), test[:, k])}
        for k in range(codes.shape[1])
    ]
    return pd.DataFrame(rows)


def usage(codes: np.ndarray, codebook_size: int) -> dict[str, float]:
    """Share of a codebook that occurs in ``codes`` (any shape), and their perplexity: how many
    equally frequent codes would be as hard to guess. -1 is no code.

    >>> usage(np.array([0, 1, 1, 0, -1]), codebook_size=8)
    {'used': 0.25, 'perplexity': 2.0}
    """
    count = np.bincount(codes[codes >= 0], minlength=codebook_size)
    share = count[count > 0] / max(count.sum(), 1)
    nats = -(share * np.log(share)).sum()
    return {"used": float((count > 0).mean()), "perplexity": round(float(np.exp(nats)), 6)}


def share_equal(guess: np.ndarray, codes: np.ndarray) -> float:
    """Share of ``codes`` that ``guess`` has right; -1 is no code.

    >>> share_equal(np.array([3, 4, 5]), np.array([3, 0, -1]))
    0.5
    """
    there = codes >= 0
    return float(((guess == codes) & there).sum() / there.sum()) if there.any() else np.nan


def _most_common(codes: np.ndarray) -> np.ndarray:
    return np.array(np.bincount(codes[codes >= 0], minlength=1).argmax())
