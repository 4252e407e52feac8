"""Encoders: codes are labels, slots without a frame have no say."""

import pytest
import torch

from giblet.autoencoder.encoders import AudioEncoder, MelEncoder
from giblet.film.networks import TextEncoder, VideoEncoder


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def encoder():
    return AudioEncoder().eval()


@pytest.fixture
def codes():
    return torch.randint(0, 1024, (5, 8, 112), dtype=torch.int32)


def test_the_audio_encoder_takes_discrete_codes(encoder, codes):
    vectors = encoder(codes)
    assert (vectors.shape, vectors.dtype) == ((5, 256), torch.float32)
    torch.testing.assert_close(encoder(codes.long()), vectors)


def test_the_sizes_are_the_designs(encoder):
    assert [tuple(e.weight.shape) for e in encoder.embeddings] == [(1024, 64)] * 8
    assert [conv.kernel_size for conv in encoder.pool.convs] == [(3,), (5,), (7,)]
    assert (encoder.pool.project.in_features, encoder.pool.project.out_features) == (384, 256)


def test_the_embedding_layer_looks_labels_up(encoder, codes):
    """Renaming one codebook's labels together with its embedding rows changes nothing."""
    before = encoder(codes)
    new_name = torch.randperm(1024)
    renamed = codes.clone()
    renamed[:, 3] = new_name[codes[:, 3].long()].int()
    assert (encoder(renamed) - before).abs().max() > 1e-3  # labels alone
    with torch.no_grad():
        encoder.embeddings[3].weight[new_name] = encoder.embeddings[3].weight.clone()
    torch.testing.assert_close(encoder(renamed), before)


def test_each_codebook_has_an_embedding_of_its_own(encoder, codes):
    swapped = codes[:, [1, 0, *range(2, 8)]]
    assert (encoder(swapped) - encoder(codes)).abs().max() > 1e-3


def test_every_code_and_the_order_of_frames_matter(encoder, codes):
    before = encoder(codes)
    for q in range(8):
        changed = codes.clone()
        changed[:, q, 60] = (changed[:, q, 60] + 1) % 1024
        assert (encoder(changed) != before).any(dim=1).all()
    assert (encoder(codes.flip(-1)) - before).abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_float_codes_are_refused(encoder, codes, dtype):
    with pytest.raises(TypeError, match=r"codes must be integers.*MelEncoder"):
        encoder(codes.to(dtype))


def test_slots_without_a_frame_have_no_say(encoder, codes):
    padded = torch.cat([codes, torch.full((5, 8, 1), -1, dtype=torch.int32)], dim=-1)
    torch.testing.assert_close(encoder(padded), encoder(codes))
    zero = torch.cat([codes, torch.zeros((5, 8, 1), dtype=torch.int32)], dim=-1)
    assert (encoder(zero) - encoder(codes)).abs().max() > 1e-4  # 0 is a code like any other


def test_a_tr_without_any_frame_is_finite(encoder):
    assert encoder(torch.full((1, 8, 112), -1, dtype=torch.int32)).isfinite().all()


def test_each_tr_is_encoded_by_itself(encoder, codes):
    torch.testing.assert_close(encoder(codes)[2:3], encoder(codes[2:3]), atol=1e-5, rtol=1e-5)


def test_the_mel_twin_has_the_same_output():
    encoder, mel = MelEncoder(128).eval(), torch.rand(5, 128, 140) * 100 - 100
    assert encoder(mel).shape == (5, 256)
    padded = torch.cat([mel, torch.full((5, 128, 1), torch.nan)], dim=-1)
    torch.testing.assert_close(encoder(padded), encoder(mel))


@pytest.mark.parametrize("shape", [(1, 90, 160), (3, 48, 64)])
def test_the_video_encoder_takes_pictures_of_any_size(shape):
    pictures = torch.randint(0, 256, (4, *shape, 3), dtype=torch.uint8)
    encoder = VideoEncoder().eval()
    assert encoder(pictures).shape == (4, 1024)
    torch.testing.assert_close(encoder(pictures)[1:2], encoder(pictures[1:2]), atol=1e-5, rtol=1e-4)
    assert (encoder(255 - pictures) - encoder(pictures)).abs().max() > 1e-3


def test_the_text_encoder_takes_embedded_words():
    assert TextEncoder(1024)(torch.randn(4, 1024)).shape == (4, 256)
