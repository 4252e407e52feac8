"""Scores of a codec in training, by hand."""

import pytest
import torch

from giblet.codec_training.validation import sound_scores

RATE = 24000


@pytest.mark.parametrize(("gain", "snr_db"), [(0.9, 20.0), (0.5, 6.0206), (1.1, 20.0), (2.0, 0.0)])
def test_scores_of_another_level_by_hand(gain, snr_db):
    sound = 0.1 * torch.randn(2, 24000, generator=torch.Generator().manual_seed(0))
    scores = sound_scores(sound, gain * sound, RATE)
    assert scores["snr_db"] == pytest.approx(snr_db, abs=1e-3)
    assert scores["level"] == pytest.approx(gain, rel=1e-4)
    assert scores["spectral_convergence"] == pytest.approx(abs(1 - gain), rel=1e-4)
