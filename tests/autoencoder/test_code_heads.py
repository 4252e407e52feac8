"""Three ways to tell codes: what each can learn, and what an index must never mean."""

import pytest
import torch

from giblet.autoencoder.code_heads import ClassifierHead, Codebooks, GeometricHead, RegressionHead
from giblet.autoencoder.losses import code_frequencies, unigram_nats

N_CODEBOOKS, SIZE, CODEBOOK_DIM, DIM = 3, 32, 8, 96


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def codebooks():
    """Each a fifth as wide as the one before: every code is the nearest to its own latent."""
    sizes = torch.tensor([1.0, 0.2, 0.04])[:, None, None]
    codebooks = Codebooks(N_CODEBOOKS, SIZE, CODEBOOK_DIM)
    codebooks.take(torch.randn(N_CODEBOOKS, SIZE, CODEBOOK_DIM) * sizes)
    return codebooks


@pytest.fixture
def codes():
    return torch.randint(0, SIZE, (6, N_CODEBOOKS, 10))


@pytest.fixture
def frames():
    return torch.randn(6, 10, DIM)


def make(kind, codebooks, dim=DIM):
    if kind is GeometricHead:
        return GeometricHead(dim, codebooks)
    return kind(dim, N_CODEBOOKS, SIZE)


def learn(head, frames, codes, n_steps=150):
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(n_steps):
        optimizer.zero_grad()
        head.loss(frames, codes).backward()
        optimizer.step()
    return (head.codes(frames) == codes).float().mean()


@pytest.mark.parametrize("kind", [ClassifierHead, GeometricHead, RegressionHead])
def test_a_few_trs_are_learned_by_heart(kind, codebooks, frames, codes):
    """Where every frame is certain all three can; what regression costs shows where one is not."""
    assert learn(make(kind, codebooks), frames, codes) > 0.9


def test_between_two_codes_regression_says_a_third(codebooks):
    """Alike frames, half of them code 4 and half 24: their mean is a code that never was."""
    codes = torch.full((8, N_CODEBOOKS, 10), 4)
    codes[::2] = 24
    frames = torch.randn(DIM).expand(8, 10, DIM)
    said = {}
    for kind in (ClassifierHead, RegressionHead):
        learn(head := make(kind, codebooks), frames, codes)
        said[kind] = set(head.codes(frames).flatten().tolist())
    assert said[ClassifierHead] <= {4, 24}
    assert said[RegressionHead] == {14}


@torch.no_grad()
def test_a_near_miss_sounds_near(codebooks, codes):
    truth = codebooks.latents(codes)
    off = truth + 0.3 * truth.std() * torch.randn_like(truth)
    missed = codebooks.nearest(off)
    assert (missed != codes).float().mean() > 0.2  # else nothing was missed
    near = (codebooks.latents(missed) - truth).square().mean()
    far = (codebooks.latents(torch.randint_like(codes, SIZE)) - truth).square().mean()
    assert near < 0.2 * far


@torch.no_grad()
def test_renaming_a_codebooks_codes_means_nothing_but_to_the_regression(codebooks, frames, codes):
    new_name = torch.randperm(SIZE)
    words, renamed = codebooks.words.clone(), codes.clone()
    words[1, new_name] = codebooks.words[1]
    renamed[:, 1] = new_name[codes[:, 1]]
    heads = {k: make(k, codebooks) for k in (ClassifierHead, GeometricHead, RegressionHead)}
    before = {kind: head.loss(frames, codes) for kind, head in heads.items()}
    calibrated = heads[GeometricHead].calibration(frames, codes)
    codebooks.words.copy_(words)
    rows = heads[ClassifierHead].scores.weight[SIZE : 2 * SIZE]
    biases = heads[ClassifierHead].scores.bias[SIZE : 2 * SIZE]
    rows[new_name], biases[new_name] = rows.clone(), biases.clone()
    after = {kind: head.loss(frames, renamed) for kind, head in heads.items()}
    torch.testing.assert_close(after[GeometricHead], before[GeometricHead])
    torch.testing.assert_close(heads[GeometricHead].calibration(frames, renamed), calibrated)
    torch.testing.assert_close(after[ClassifierHead], before[ClassifierHead])
    assert (after[RegressionHead] / before[RegressionHead] - 1).abs() > 0.01  # labels are not


@pytest.mark.parametrize("kind", [ClassifierHead, GeometricHead, RegressionHead])
def test_what_is_said_where_there_is_no_frame_costs_nothing(kind, codebooks, frames, codes):
    head = make(kind, codebooks)
    fewer, codes[:, :, 7:] = head.loss(frames[:, :7], codes[:, :, :7]), -1
    frames[:, 7:] = 100.0
    frames.requires_grad_()
    loss = head.loss(frames, codes)
    torch.testing.assert_close(loss, fewer)
    loss.backward()
    assert frames.grad[:, :7].any()
    assert not frames.grad[:, 7:].any()


def test_calibration_moves_nothing_but_how_sharp_codes_are(codebooks, frames, codes):
    head = make(GeometricHead, codebooks)
    head.calibration(frames, codes).backward()
    assert [n for n, p in head.named_parameters() if p.grad is not None] == ["codebooks.sharpness"]
    assert codebooks.sharpness.grad.all()


@torch.no_grad()
def test_a_classifier_starts_at_how_often_codes_are(frames, codes):
    head = ClassifierHead(DIM, N_CODEBOOKS, SIZE)
    head.start_at(code_frequencies(codes, SIZE))
    head.scores.weight.zero_()
    torch.testing.assert_close(head.loss(frames, codes).double(), unigram_nats(codes, codes, SIZE))


@torch.no_grad()
def test_a_regression_starts_at_the_mean_index(frames, codes):
    head = RegressionHead(DIM, N_CODEBOOKS, SIZE)
    head.start_at(code_frequencies(codes.repeat(100, 1, 1), SIZE))  # add-one smoothing is small
    head.index.weight.zero_()
    spread = (codes / (SIZE - 1.0)).transpose(1, 2).flatten(0, 1).var(dim=0, correction=0).mean()
    torch.testing.assert_close(head.loss(frames, codes), spread, rtol=1e-3, atol=0)
