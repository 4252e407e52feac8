"""Ridge on torch is ridge on NumPy; a missing GPU is one line."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from himalaya.backend import get_backend
from torch._subclasses.fake_tensor import FakeTensorMode

from giblet.commands.cli import main
from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.stats.array_backend import ridge_backend
from giblet.stats.cross_validation import purged_folds
from giblet.stats.feature_ridge import solve
from giblet.stats.ridge import banded_ridge, banded_weights, columns_refit, fit_ridge

ALPHAS = np.logspace(-1, 4, 6)


def data(rng, widths=(4, 9), n=120):
    bands = [rng.standard_normal((n, width)) for width in widths]
    y = bands[0] @ rng.standard_normal((widths[0], 7)) + rng.standard_normal((n, 7))
    return bands, y


@pytest.mark.parametrize("n", [120, 40], ids=["test rows rotated", "fewer test rows"])
def test_torch_is_numpy_to_the_rounding_of_float64(rng, n):
    bands, y = data(rng, n=n)
    folds = purged_folds(np.zeros(n), 2, 4)
    options = (bands, y, folds, ALPHAS, np.array([[0.5, 0.5], [0.1, 0.9], [0.9, 0.1]]), "float64")
    expected = solve(*options)
    with ridge_backend("torch"):
        other = solve(*options)
    assert isinstance(other.weights, np.ndarray)
    np.testing.assert_array_equal(other.best_alphas_, expected.best_alphas_)
    np.testing.assert_allclose(other.weights, expected.weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(other.offsets, expected.offsets, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("widths", [(4, 9), (4, 150)], ids=["features", "kernels"])
def test_every_way_in_gives_numpy_arrays_and_the_same_numbers(rng, widths):
    bands, y = data(rng, widths)
    x, train, test = np.hstack(bands), np.arange(90), np.arange(95, 120)
    folds = purged_folds(np.zeros(120), 2, 4, among=train)

    def results():
        yield banded_ridge(bands, y, train, test, folds, n_iter=3)
        yield fit_ridge(x[train], y[train]).predict(x[test])
        yield from banded_weights([b[train] for b in bands], y[train], n_iter=3)

    expected = list(results())
    with ridge_backend("torch"):
        for one, other in zip(results(), expected, strict=True):
            assert isinstance(one, np.ndarray)
            np.testing.assert_allclose(one, other, atol=2e-3)  # losses are float32


def test_the_backend_is_put_back():
    with ridge_backend("torch"):
        assert get_backend().name == "torch"
    with pytest.raises(ValueError, match="unknown"), ridge_backend("torch"):
        raise ValueError("unknown")
    assert get_backend().name == "numpy"


@pytest.fixture
def on_a_gpu(monkeypatch):
    """`ridge_backend` of torch_cuda, which loads himalaya's module without a GPU."""

    @contextmanager
    def backend():
        with monkeypatch.context() as loading:
            loading.setattr(torch.cuda, "is_available", lambda: True)
            with ridge_backend("torch_cuda"):
                loading.undo()
                yield get_backend()

    yield backend
    sys.modules.pop("himalaya.backend.torch_cuda", None)


@pytest.fixture
def pretended_gpu(monkeypatch, on_a_gpu):
    """Tensors have a device and a shape, but no values: the devices of those that come back.

    torch refuses operations on tensors of two devices, as with a GPU. What comes back is 0.
    """
    came_back = []

    def zeros(array):
        came_back.append(array.device.type)
        return np.zeros(array.shape, np.float32)

    with on_a_gpu() as backend, FakeTensorMode():
        monkeypatch.setattr(backend, "to_numpy", zeros)
        yield came_back


@pytest.mark.parametrize("widths", [(4, 9), (4, 150)], ids=["features", "kernels"])
def test_on_a_gpu_no_array_is_left_behind(rng, pretended_gpu, widths):
    """Devices and shapes alone: no numbers, for which a GPU is needed."""
    bands, y = data(rng, widths)
    x, train, test = np.hstack(bands), np.arange(90), np.arange(95, 120)
    folds = purged_folds(np.zeros(120), 2, 4, among=train)
    assert banded_ridge(bands, y, train, test, folds, n_iter=3).shape == (25, 7)
    assert fit_ridge(x[train], y[train]).predict(x[test]).shape == (25, 7)
    weights, offsets = banded_weights([b[train] for b in bands], y[train], n_iter=3)
    assert (weights.shape, offsets.shape) == ((sum(widths), 7), (7,))
    again = columns_refit(bands, y, train, test, folds, n_iter=3)
    assert again.predict(slice(3), [(train, y[train][:, :3])]).shape == (1, 25, 3)
    assert len(pretended_gpu) > 3
    assert set(pretended_gpu) == {"cuda"}


def test_the_pretended_gpu_refuses_arrays_of_the_processor(rng, pretended_gpu, monkeypatch):
    """The test above fails where an array is left behind."""
    bands, y = data(rng)
    folds = purged_folds(np.zeros(120), 2, 4)
    monkeypatch.setattr(get_backend(), "zeros_like", lambda array, shape: torch.zeros(shape))
    with pytest.raises(RuntimeError, match="on the same device"):
        banded_weights(bands, y, folds=folds, n_iter=3)


def test_a_full_gpu_is_one_line(on_a_gpu):
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90 GiB.\n\n")
    with pytest.raises(GibletError, match="the GPU's memory is full") as error, on_a_gpu():
        raise full
    assert "\n" not in str(error.value)
    assert get_backend().name == "numpy"
    with pytest.raises(torch.OutOfMemoryError), ridge_backend("torch"):
        raise full  # of a network


def test_without_a_gpu_it_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GibletError, match="ridge_backend: torch_cuda needs a GPU") as error:
        ridge_backend("torch_cuda").__enter__()
    assert "\n" not in str(error.value)


def test_a_command_without_a_gpu_ends_with_that_line(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "a.tsv").write_text("path\n")
    settings = '--settings={"ridge_backend": "torch_cuda"}'
    words = ["fold_scores", f"--tables={tmp_path / 'a.tsv'}", f"--scores={tmp_path / 'b.tsv'}"]
    assert main([*words, settings]) == 1
    assert "needs a GPU" in caplog.text
    assert not (tmp_path / "b.tsv").exists()


def test_doctor_names_a_missing_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    problems = measure(parse_config({"ridge_backend": "torch_cuda"}))[2]
    assert [one for one in problems if one.startswith("ridge_backend: torch_cuda needs a GPU")]
    assert not any("ridge_backend" in one for one in measure(parse_config({}))[2])


def test_another_backend_is_refused():
    with pytest.raises(GibletError, match="ridge_backend = 'cupy': must be one of"):
        parse_config({"ridge_backend": "cupy"})
