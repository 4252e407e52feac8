"""Discriminators tell sounds apart, and what they know reaches the codec."""

import pytest
import soundfile
import torch

from giblet.codec_training.discriminators import (
    ADVERSARIAL,
    DISCRIMINATORS,
    AdversarialLosses,
    HybridDiscriminator,
    feature_matching,
)
from giblet.codec_training.recipe import DiscriminatorSettings
from giblet.errors import GibletError

RATE = 24000
TINY = {
    "scale": {"n_scales": 2, "width": 4},
    "period": {"periods": (2, 3), "width": 2},
    "stft": {"n_ffts": (256, 512), "width": 8},
}
TINY["hybrid"] = {"parts": dict(TINY)}

every_kind = pytest.mark.parametrize("kind", DISCRIMINATORS)


def build(kind):
    torch.manual_seed(0)
    return DISCRIMINATORS[kind](**TINY[kind])


@pytest.fixture(autouse=True)
def own_seed():
    with torch.random.fork_rng():
        yield


@pytest.fixture(scope="module")
def speech(voice_file):
    """3 s of one clear voice, as crops of 0.1 s, (30, 2400)."""
    wave = soundfile.read(voice_file, start=int(2.6 * RATE), stop=int(5.6 * RATE), dtype="float32")[
        0
    ]
    return torch.from_numpy(wave).reshape(30, 2400)


@pytest.fixture(scope="module")
def coded(speech):
    """The same made of noise, which has its level every 80 samples (Shannon et al. 1995)."""
    frames = speech.reshape(30, -1, 80)
    level = frames.square().mean(dim=-1, keepdim=True).sqrt()
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    return (level * noise).reshape(30, 2400)


@every_kind
def test_shapes(kind, speech):
    scores, features = build(kind)(speech[:2])
    assert len(scores) == len(features) == (6 if kind == "hybrid" else 2)
    assert all(score.shape[:2] == (2, 1) for score in scores)
    assert all(f.shape[0] == 2 and f.isfinite().all() for maps in features for f in maps)


def test_shapes_are_those_of_the_papers(speech):
    """MelGAN: strides of 256 in all, half the rate for each scale. HiFi-GAN: columns of a period.

    EnCodec: a frame every quarter window, three strides of 2 over n_fft / 2 + 1 bins.
    """
    scale, _ = build("scale")(speech[:1])
    assert [s.shape[-1] for s in scale] == [10, 5]  # 2400 / 256 and 1200 / 256, rounded up
    period, maps = build("period")(speech[:1])
    assert [s.shape[-2:] for s in period] == [(15, 2), (10, 3)]  # 1200 and 800 by 3, four times
    assert [f.shape[1] for f in maps[0]] == [2, 8, 32, 64, 64]
    stft, maps = build("stft")(speech[:1])
    assert [s.shape[-2:] for s in stft] == [(1 + 2400 // 64, 17), (1 + 2400 // 128, 33)]
    assert [f.shape[1] for f in maps[0]] == [8] * 5


@pytest.mark.parametrize("n_samples", [2400, 2401, 2405])
def test_sounds_need_not_be_whole_periods(n_samples, speech):
    scores, _ = build("period")(speech.flatten()[None, :n_samples])
    assert all(score.isfinite().all() for score in scores)


@every_kind
def test_weights_are_normalised(kind):
    assert any("parametrizations.weight" in name for name in build(kind).state_dict())


@every_kind
def test_what_it_knows_reaches_the_sound(kind, speech, coded):
    estimate = coded[:2].clone().requires_grad_()
    discriminator = build(kind)
    (_, real), (scores, fake) = discriminator(speech[:2]), discriminator(estimate)
    for loss in (ADVERSARIAL["hinge"]().generator(scores), feature_matching(real, fake)):
        (gradient,) = torch.autograd.grad(loss, estimate, retain_graph=True)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("kind", "game", "no_idea"),  # what constant scores cost, at best
    [
        pytest.param("scale", "hinge", 2.0, marks=pytest.mark.slow),
        ("period", "hinge", 2.0),
        pytest.param("stft", "hinge", 2.0, marks=pytest.mark.slow),
        pytest.param("scale", "least_squares", 0.5, marks=pytest.mark.slow),
    ],
)
def test_sound_is_learned_from_noise_coded_sound(kind, game, no_idea, speech, coded):
    """On crops that it has not been trained on, too."""
    discriminator, loss = build(kind), ADVERSARIAL[game]()

    def cost(crops):
        return loss.discriminator(discriminator(speech[crops])[0], discriminator(coded[crops])[0])

    optimizer = torch.optim.AdamW(discriminator.parameters(), lr=3e-3, betas=(0.8, 0.99))
    others = []  # the cost of each ten steps: where too much is learned by heart differs
    for step in range(60):
        optimizer.zero_grad()
        value = cost(slice(0, 20, 2))
        value.backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                others.append(cost(slice(20, 30)))
    assert value < 0.8 * no_idea
    assert min(others) < 0.95 * no_idea


def test_adversarial_losses_by_hand():
    real, fake = [torch.tensor([2.0, 0.5]), torch.tensor([1.0])], [torch.tensor([-2.0, 0.0])] * 2
    hinge, squares = ADVERSARIAL["hinge"](), ADVERSARIAL["least_squares"]()
    # judge 1: (0 + 0.5) / 2 + (0 + 1) / 2; judge 2: 0 + (0 + 1) / 2
    assert hinge.discriminator(real, fake).item() == pytest.approx((0.75 + 0.5) / 2)
    assert hinge.generator(fake).item() == pytest.approx((3 + 1) / 2)
    # judge 1: (1 + 0.25) / 2 + (4 + 0) / 2; judge 2: 0 + (4 + 0) / 2
    assert squares.discriminator(real, fake).item() == pytest.approx((2.625 + 2.0) / 2)
    assert squares.generator(fake).item() == pytest.approx((9 + 1) / 2)


@pytest.mark.parametrize("game", ADVERSARIAL)
def test_the_discriminator_learns_to_separate_original_from_coded(game, speech, coded):
    torch.manual_seed(0)
    settings = DiscriminatorSettings(kind="stft", parameters=TINY["stft"], loss=game)
    adversarial, loss = AdversarialLosses(settings), ADVERSARIAL[game]()

    def by_hand():
        real, fake = (adversarial.discriminator(sounds[:4])[0] for sounds in (speech, coded))
        return loss.discriminator(real, fake).item()

    before, optimizer = by_hand(), torch.optim.AdamW(adversarial.parameters(), lr=1e-3)
    assert adversarial.discriminator_loss(coded[:4], speech[:4]).item() == pytest.approx(
        before, rel=1e-5
    )
    for _ in range(5):
        optimizer.zero_grad()
        adversarial.discriminator_loss(coded[:4], speech[:4]).backward()
        optimizer.step()
    assert by_hand() < before - 0.001


def test_feature_matching_by_hand(speech):
    real = [[torch.tensor([1.0, -3.0]), torch.tensor([10.0])], [torch.tensor([2.0])]]
    fake = [[torch.tensor([2.0, -3.0]), torch.tensor([5.0])], [torch.tensor([2.0])]]
    assert feature_matching(real, fake).item() == pytest.approx((0.5 / 2 + 5 / 10 + 0) / 3)
    features = build("hybrid")(speech[:1])[1]
    assert feature_matching(features, features) == 0


def test_originals_get_no_gradient_from_feature_matching():
    real, fake = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    feature_matching([[real]], [[fake]]).backward()
    assert real.grad is None
    assert fake.grad is not None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"periods": {}}, r"discriminators: there is no 'periods'; did you mean period\?"),
        ({"stft": {"n_fft": [512]}}, r"discriminators.stft: there is no parameter 'n_fft'"),
        ({}, r"hybrid: name at least one discriminator"),
    ],
)
def test_a_wrong_config_is_one_clear_line(parts, message):
    with pytest.raises(GibletError, match=message):
        HybridDiscriminator(parts)
