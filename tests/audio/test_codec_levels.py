"""Levels of a codec add up to its latents."""

from dataclasses import dataclass

import numpy as np
from pcm_codec import PcmCodec

from giblet.audio.codec_levels import codec_levels
from giblet.audio.feature_types import CodecCoder


@dataclass(frozen=True)
class Semantic(PcmCodec):
    n_semantic: int = 2


def test_codebooks_add_up(rng):
    codec = PcmCodec()
    codes = rng.integers(codec.codebook_size, size=(codec.n_codebooks, 40)).astype(np.int32)
    levels = {(space, level): values for space, level, values in codec_levels(codec, codes)}
    assert {space for space, _level in levels} == {"codebook", "cumulated"}
    assert len(levels) == 2 * codec.n_codebooks
    whole = CodecCoder(codec).regressors(codes)
    np.testing.assert_allclose(levels["cumulated", "32"], whole, atol=1e-6)
    latents = whole[:, : codec.codebook_dim]
    books = [levels["codebook", str(n)][:, : codec.codebook_dim] for n in range(1, 33)]
    np.testing.assert_allclose(sum(books), latents, atol=1e-6)
    np.testing.assert_allclose(
        levels["cumulated", "3"][:, : codec.codebook_dim], sum(books[:3]), atol=1e-6
    )
    np.testing.assert_array_equal(books[4][0], codec.codebooks()[4, codes[4, 0]])


def test_semantic_codebooks_stand_against_the_others(rng):
    codes = rng.integers(256, size=(32, 10)).astype(np.int32)
    levels = {(space, level): values for space, level, values in codec_levels(Semantic(), codes)}
    semantic, acoustic = (levels["kind", name][:, :32] for name in ("semantic", "acoustic"))
    np.testing.assert_array_equal(semantic, levels["cumulated", "2"][:, :32])
    np.testing.assert_allclose(semantic + acoustic, levels["cumulated", "32"][:, :32], atol=1e-6)
    few = {space for space, _level, _values in codec_levels(Semantic(), codes[:2])}
    assert "kind" not in few  # nothing is left to compare with
