"""Levels of a codec: each codebook alone, codebooks up to one, semantic and acoustic ones."""

from collections.abc import Iterator

import numpy as np

from giblet.audio.codecs.codec import Codec
from giblet.audio.feature_types import with_magnitudes

CODEBOOK, CUMULATED, KIND = "codebook", "cumulated", "kind"
SEMANTIC, ACOUSTIC = "semantic", "acoustic"


def codec_levels(codec: Codec, codes: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Space, level and what a linear model reads of it, (n_frames, n_features) float32.

    ``codes`` (n_codebooks, n_frames), as the codec has them or fewer. Levels are numbered from 1:
    ``codebook`` k is the codewords of book k alone, ``cumulated`` k the sum of those of books 1 to
    k, which the decoder reads at a lower bandwidth. Of a codec with semantic codebooks
    (``n_semantic``, the first ones) ``kind`` is their sum, and that of all others. Each with its
    magnitudes.
    """
    books, total, n_semantic = codec.codebooks(), None, getattr(codec, "n_semantic", 0)
    for number, (words, labels) in enumerate(zip(books, codes, strict=False), start=1):
        alone = words[labels]
        total = alone if total is None else total + alone
        yield CODEBOOK, str(number), with_magnitudes(alone)
        yield CUMULATED, str(number), with_magnitudes(total)
        if number == n_semantic:
            semantic = total
    if 0 < n_semantic < len(codes):
        yield KIND, SEMANTIC, with_magnitudes(semantic)
        yield KIND, ACOUSTIC, with_magnitudes(total - semantic)
