"""What training lowers: balanced, honest about its baselines, and heard through the codec."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from factories import slot_model, small_shapes

from giblet.alignment.dataset import FilmData
from giblet.audio.codecs.codec import load_codec
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.lightning_module import gradient_shares
from giblet.autoencoder.objective import LatentDistance, Objective, baselines, start_at_baseline
from giblet.config.sections import TrainingConfig
from giblet.errors import GibletError

N_TRS = 24
SMALL = slot_model()
SHAPES = small_shapes(
    n_rows=8, frames_per_tr=12, codebook_size=1024, n_blurred=7, hrf_kernel=(0.2, 0.5, 0.3)
)
TRAINING = TrainingConfig(frames_per_step=12, sound_trs=3)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def codec():
    return load_codec()


@pytest.fixture(scope="module")
def data():
    """A film whose sound, words and brains know each other; TRs 20 on are for validation."""
    generator = torch.Generator().manual_seed(1)
    state = torch.arange(N_TRS) % 4
    codes = (250 * state)[:, None, None] + torch.randint(5, (N_TRS, 8, 12), generator=generator)
    codes[::5, :, -1] = -1
    film = {
        "audio": codes.int(),
        "video": (60 * state).byte()[:, None, None, None, None].repeat(1, 1, 16, 16, 3),
        "text": torch.randn(4, 6, generator=generator)[state],
        "blurred": torch.randn(N_TRS, 7, generator=generator),
    }
    bold = torch.randn(2, N_TRS, 5, generator=generator)
    part = np.repeat(["train", "validation"], [20, 4])
    return FilmData(film, bold, part, np.full(N_TRS, "run-1"), SHAPES.subjects)


def make(data, codec, model=SMALL, training=TRAINING, *, heard=False, shapes=SHAPES):
    """An autoencoder and its objective, which hears sound if ``heard``."""
    autoencoder = Autoencoder(shapes, model)
    autoencoder.codebooks.take(torch.from_numpy(codec.codebooks()))
    start_at_baseline(autoencoder, data)
    found = baselines(data, autoencoder)
    return autoencoder, Objective(
        autoencoder, training, found, LatentDistance(codec) if heard else None
    )


def window_of(data, trs=slice(0, 20), **film):
    one = data.slice(np.arange(N_TRS)[trs])
    return {"film": one.film | film, "bold": one.bold, "begins_run": True}


def test_the_baseline_of_codes_is_the_spread_of_their_latents(data, codec):
    autoencoder, _objective = make(data, codec)
    codes, words = data.film["audio"].numpy()[data.part == "train"], codec.codebooks()
    frames = codes.transpose(0, 2, 1)[(codes >= 0).all(axis=1)]  # (n_frames, n_codebooks)
    latents = sum(book[frames[:, q]] for q, book in enumerate(words))
    found = baselines(data, autoencoder)["audio"]
    assert found == pytest.approx(latents.var(axis=0).mean(), rel=1e-5)


def test_the_share_of_a_loss_is_its_part_of_the_gradient():
    bottleneck = torch.randn(4, 6, requires_grad=True)
    loss = bottleneck.square().sum()
    shares = gradient_shares({"one": loss, "other": 3 * loss}, bottleneck)
    assert shares == pytest.approx({"one": 0.25, "other": 0.75})


def test_shares_of_all_losses_sum_to_one(data, codec):
    _model, objective = make(
        data, codec, SMALL.model_copy(update={"variational": True}), heard=True
    )
    losses, bottleneck = objective(window_of(data))
    assert set(losses) == {"audio", "codes", "sound", "video", "text", "bold", "kl"}
    shares = gradient_shares(objective.weighted(losses), bottleneck)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares.pop("codes") == 0  # it only tells how sharp codes are
    assert min(shares.values()) > 0


@torch.no_grad()
@pytest.mark.parametrize("head", ["geometric", "classifier", "regression"])
def test_having_learned_nothing_costs_one(data, codec, head):
    """A head that says the training mean, whatever comes, has the loss 1."""
    config = SMALL.model_copy(update={"code_head": head})
    model, objective = make(data, codec, config)
    codes = data.film["audio"][data.where("train")]
    made = model.decoders["audio"].head
    if head == "geometric":
        known = (codes >= 0).all(dim=1)
        made.latent.weight.zero_()
        made.latent.bias.copy_(model.codebooks.latents(codes)[known].mean(dim=0))
    else:
        weights = made.scores.weight if head == "classifier" else made.index.weight
        weights.zero_()
        if head == "regression":
            places = codes.double().masked_fill(codes < 0, torch.nan) / 1023
            made.index.bias.copy_(places.transpose(1, 2).flatten(0, 1).nanmean(dim=0))
    losses, _bottleneck = objective.eval()(window_of(data))
    assert losses["audio"].item() == pytest.approx(1, rel=1e-3)


def test_learned_weights_begin_as_the_plain_ones(data, codec):
    """Kendall et al.: w (L exp(-s) + s), whose slope in s is w (1 - L) at s = 0."""
    learned = TRAINING.model_copy(update={"balance": "uncertainty"})
    _model, plain = make(data, codec)
    _autoencoder, objective = make(data, codec, training=learned)
    losses, _bottleneck = objective(window_of(data))
    weighted = objective.weighted(losses)
    assert weighted == plain.weighted(losses)
    sum(weighted.values()).backward()
    assert set(objective.log_scales) == set(losses)
    for name, scale in objective.log_scales.items():
        slope = objective.weights[name] * (1 - losses[name].detach())
        torch.testing.assert_close(scale.grad, slope, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        objective.log_scales["text"].fill_(2.0)
    assert objective.weighted(losses)["text"] != plain.weighted(losses)["text"]
    assert objective.eval().weighted(losses) == plain.weighted(losses)  # else it could cheat


def test_a_modality_is_hidden_in_its_share_of_trs_and_only_in_training(data, codec):
    dropout = TRAINING.model_copy(update={"modality_dropout": 0.25})
    _model, objective = make(data, codec, training=dropout)
    film = {m: torch.zeros(20_000) for m in ("audio", "video", "text")}
    shown = objective._hidden(film)
    deviation = math.sqrt(0.25 * 0.75 / 20_000)
    for present in shown.values():
        assert 1 - present.float().mean() == pytest.approx(0.25, abs=5 * deviation)
    both = (~shown["audio"] & ~shown["text"]).float().mean()  # one hides regardless of the other
    assert both == pytest.approx(0.0625, abs=5 * deviation)
    assert objective._hidden({"audio": film["audio"]}) is None  # nothing else would be left
    assert objective.eval()._hidden(film) is None


@torch.no_grad()
@pytest.mark.parametrize("layout", ["slots", "flat"])
def test_hidden_is_the_same_as_missing(data, codec, layout):
    model, _ = make(data, codec, SMALL.model_copy(update={"layout": layout, "bottleneck_dim": 16}))
    for parameter in model.join.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    for encoder in model.encoders["text"].parameters():
        encoder.add_(0.1)
    film = window_of(data)["film"]
    present = {"text": torch.arange(20) % 2 == 0}
    masked = model.encode(film, present)
    without = model.encode({m: film[m] for m in ("audio", "video")})
    torch.testing.assert_close(masked[1::2], without[1::2])
    torch.testing.assert_close(masked[::2], model.encode(film)[::2])
    assert (masked[::2] - without[::2]).abs().max() > 1e-3


def test_the_divergence_grows_to_its_weight(data, codec):
    grown = {"kl_weight": 0.5, "kl_epochs": 4}
    _model, objective = make(data, codec, training=TRAINING.model_copy(update=grown))
    costs = [objective.weighted({"kl": torch.tensor(2.0)}, epoch)["kl"] for epoch in range(6)]
    assert [float(cost) for cost in costs] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_nats_that_are_free_pull_at_nothing(data, codec):
    config = SMALL.model_copy(update={"variational": True})
    for free, moved in ((0.0, True), (1e3, False)):
        training = TRAINING.model_copy(update={"free_nats": free})
        model, objective = make(data, codec, config, training)
        losses, _bottleneck = objective(window_of(data))
        losses["kl"].backward()
        assert bool(model.spread.log_variance.bias.grad.any()) is moved
        assert losses["kl"] >= free


def test_a_variational_model_learns(data, codec):
    """A step down the gradient lowers the loss for the same draw; validation draws nothing."""
    model, objective = make(data, codec, SMALL.model_copy(update={"variational": True}))
    window = window_of(data)

    def loss():
        torch.manual_seed(1)
        return sum(objective.weighted(objective(window)[0], epoch=9).values())

    before = loss()
    before.backward()
    assert model.spread.log_variance.weight.grad.any()
    with torch.no_grad():
        for values in model.parameters():
            if values.grad is not None:
                values -= 1e-3 * values.grad
    assert loss() < before
    torch.manual_seed(1)
    drawn = objective(window)[0]["text"]
    torch.manual_seed(2)
    assert objective(window)[0]["text"] != drawn
    objective.eval()
    torch.testing.assert_close(objective(window)[0]["text"], objective(window)[0]["text"])


def test_latents_sound_like_themselves_and_silence_is_one(codec, data):
    distance = LatentDistance(codec)
    sound = torch.sin(torch.arange(19_200) * 0.08) * torch.linspace(0, 0.5, 19_200)
    true, silent = (
        torch.from_numpy(codec.latents(codec.encode(x.numpy())))[None] for x in (sound, 0 * sound)
    )
    assert distance(true, true) == 0
    assert distance(silent, true) == pytest.approx(1, abs=0.3)
    assert distance(true * 0.9, true) < 0.5 * distance(silent, true)


def test_distances_are_heard_where_the_latents_are(codec):
    """On a GPU too, and the codec of everybody else stays where it was."""
    distance = LatentDistance(codec)
    distance._move(torch.device("meta"))
    parts = [*distance.codec.model.parameters(), *distance.losses.buffers()]
    assert {part.device.type for part in parts} == {"meta"}
    assert codec.model.device.type == "cpu"


def test_sound_is_what_codes_sound_like_and_its_gradient_goes_straight_through(data, codec):
    model, objective = make(data, codec, heard=True)
    objective.eval()
    window, decoder = window_of(data, slice(0, 3)), model.decoders["audio"]
    losses, bottleneck = objective(window)
    codes, true = decoder(bottleneck).long(), model.codebooks.latents(window["film"]["audio"])
    with torch.no_grad():
        heard = LatentDistance(codec)(model.codebooks.latents(codes), true)
    torch.testing.assert_close(losses["sound"], heard, rtol=1e-4, atol=0)
    losses["sound"].backward()
    assert decoder.head.latent.weight.grad.any()
    assert model.encoders["audio"].pool.enter.weight.grad.any()
    assert model.codebooks.sharpness.grad is None
    assert all(p.grad is None for p in codec.model.parameters())


@torch.no_grad()
def test_validation_decodes_some_trs_and_the_same_ones_each_time(data, codec, monkeypatch):
    """Where there are few TRs, all (the test above). Oracle: the losses of those TRs and frames."""
    model, objective = make(data, codec, heard=True)
    monkeypatch.setattr("giblet.autoencoder.objective._FEWEST_HEARD", 2)
    window, decoder = window_of(data, slice(0, 5)), model.decoders["audio"]
    losses, bottleneck = objective.eval()(window)
    torch.manual_seed(1)
    again, _bottleneck = objective(window)
    assert again == losses
    codes, frames = window["film"]["audio"], decoder.features(bottleneck)
    quarter = decoder.head.calibration(frames[:, ::4], codes[..., ::4])
    torch.testing.assert_close(losses["codes"] * objective.baselines["codes"], quarter)
    latents = model.codebooks.latents(model.codebooks.nearest(decoder.head.latents(frames)))
    heard = LatentDistance(codec)(latents[[0, 2, 4]], model.codebooks.latents(codes[[0, 2, 4]]))
    torch.testing.assert_close(losses["sound"], heard, rtol=1e-4, atol=0)


@torch.no_grad()
def test_a_training_step_scores_the_sound_of_some_trs_and_over_steps_of_all(data, codec):
    """Oracle: the mean over steps is the loss of validation, which has every TR and frame."""
    window = window_of(data)
    present = (window["film"]["audio"] >= 0).all(dim=1)
    settings = TRAINING.model_copy(update={"audio_trs": 5, "modality_dropout": 0.0})
    model, objective = make(data, codec, training=settings)
    rows, kept = [], model.decoders["audio"].features
    model.decoders["audio"].features = lambda code: rows.append(len(code)) or kept(code)
    steps = torch.stack([objective.train()(window)[0]["audio"] for _ in range(200)])
    whole = objective.eval()(window)[0]["audio"]
    assert set(rows) == {5, len(present)}
    assert steps.std() > 0
    torch.testing.assert_close(steps.mean(), whole, rtol=0.02, atol=0)


@pytest.mark.parametrize("head", ["classifier", "regression"])
def test_heads_without_latents_are_not_heard(data, codec, head):
    _model, objective = make(data, codec, SMALL.model_copy(update={"code_head": head}), heard=True)
    losses, _bottleneck = objective(window_of(data))
    assert set(losses) == {"audio", "video", "text", "bold"}


@torch.no_grad()
def test_blurred_inputs_make_the_bottleneck_and_bold_is_read_without_a_second_blur(data, codec):
    model, objective = make(data, codec, SMALL.model_copy(update={"hrf_placement": "inputs"}))
    window = window_of(data)
    losses, bottleneck = objective.eval()(window)
    assert set(losses) == {"audio", "codes", "video", "text", "bold"}
    silent = {m: torch.zeros_like(window["film"][m]) for m in ("audio", "video", "text")}
    assert torch.equal(model.encode(window["film"] | silent), bottleneck)
    altered = window["film"]["blurred"].clone()
    altered[7] += 1
    changed = model.encode(window["film"] | {"blurred": altered})
    assert (changed != bottleneck).any(dim=1).nonzero().tolist() == [[7]]
    one, other = (model.decoders["bold"](x[None])[0] for x in (bottleneck, changed))
    assert (one != other).any(dim=(0, 2)).nonzero().tolist() == [[7]]


def test_blurred_inputs_need_a_scan():
    alone = dataclasses.replace(SHAPES, subjects=(), n_blurred=0)
    with pytest.raises(GibletError, match="hrf_placement: inputs needs a scan"):
        Autoencoder(alone, SMALL.model_copy(update={"hrf_placement": "inputs"}))
