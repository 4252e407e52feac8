"""Walks through latents, with a decoder whose music is known."""

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.latent_tools import (
    attribute_vector,
    attributes_along,
    interpolate,
    interpolate_levels,
    midpoint_nats,
    mix_tokens,
    monotonicity,
    traverse,
)
from giblet.music.notes import Notes
from giblet.music.synthetic_scores import simulated_score
from giblet.music.tokens import VOCABULARY, tokenize

SHARES = np.linspace(0, 1, 9)


def decode(z):
    """SIMULATED music: global z is the tempo, the density and the register."""
    tempo, density, register = z["global"][0]
    factors = np.clip([tempo, density, register, 1], [60, 0.5, 48, 0], [180, 4, 84, 1])
    return simulated_score(factors, 64, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_ends_are_kept_and_shapes_follow(kind, rng):
    a, b = rng.standard_normal((2, 5, 7))
    path = interpolate(a, b, SHARES, kind)
    assert path.shape == (9, 5, 7)
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-12)


def test_spherical_interpolation_turns_at_an_even_rate(rng):
    a, b = rng.standard_normal((2, 7))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    path = interpolate(a, b, SHARES)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1)
    steps = np.arccos((path[1:] * path[:-1]).sum(-1))
    np.testing.assert_allclose(steps, np.arccos(a @ b) / 8)


def test_parallel_vectors_and_zeros_are_joined_by_a_line():
    a = np.array([[1.0, 2.0], [0.0, 0.0]])
    b = np.array([[2.0, 4.0], [1.0, 1.0]])
    np.testing.assert_allclose(interpolate(a, b, [0.5])[0], (a + b) / 2)


def test_the_midpoint_of_gaussian_draws_keeps_their_norm(rng):
    a, b = rng.standard_normal((2, 100, 64))
    typical = np.linalg.norm(a, axis=-1).mean()
    norms = {
        kind: np.linalg.norm(interpolate(a, b, [0.5], kind), axis=-1).mean()
        for kind in ("linear", "spherical")
    }
    assert norms["spherical"] == pytest.approx(typical, rel=0.02)
    assert norms["linear"] == pytest.approx(typical / 2**0.5, rel=0.02)


def test_levels_are_cut_to_the_shorter_piece(rng):
    a = {"fine": rng.standard_normal((6, 2)), "global": rng.standard_normal((1, 3))}
    b = {"fine": rng.standard_normal((4, 2)), "global": rng.standard_normal((1, 3))}
    path = interpolate_levels(a, b, SHARES, "linear")
    assert len(path) == 9
    np.testing.assert_allclose(path[-1]["fine"], b["fine"])
    np.testing.assert_allclose(path[4]["global"], (a["global"] + b["global"]) / 2)


def test_a_traversal_moves_along_its_direction_alone():
    z = np.ones((2, 3))
    path = traverse(z, np.array([0.0, 1.0, 0.0]), np.array([-1.0, 0.0, 2.0]))
    assert path.shape == (3, 2, 3)
    assert (path[..., [0, 2]] == 1).all()
    assert path[:, 0, 1].tolist() == [0, 1, 3]


def test_an_attribute_vector_finds_the_direction(rng):
    direction = np.array([0.6, 0.0, -0.8])
    z = rng.standard_normal((400, 3))
    attribute = z @ direction + 0.1 * rng.standard_normal(400)
    attribute[:5] = np.nan
    vector = attribute_vector(z, attribute)
    assert vector @ direction / np.linalg.norm(vector) > 0.99
    moved = traverse(z, vector, [0.0, 1.0]) @ direction
    assert (moved[1] > moved[0]).all()


@pytest.mark.parametrize("attribute", [[1.0, 2.0, np.nan, np.nan], [1.0, 1.0, 1.0, 1.0]])
def test_an_attribute_that_does_not_vary_has_no_vector(attribute):
    with pytest.raises(GibletError, match="different values"):
        attribute_vector(np.zeros((4, 2)), attribute)


def test_monotonicity():
    assert monotonicity([1, 2, 3, 9]) == pytest.approx(1)
    assert monotonicity([9, 3, 2, 1]) == pytest.approx(1)
    assert monotonicity([1, 3, 2, 4]) == pytest.approx(0.8)
    assert monotonicity([2, 9, 8, 7, 6, 5, 4, 3]) < 0
    assert np.isnan(monotonicity([1, 2, 1]))
    assert np.isnan(monotonicity([1, np.nan, 3]))


def test_attributes_change_evenly_along_an_interpolation():
    a, b = ({"global": np.array([row])} for row in ([70.0, 1.0, 52.0], [160.0, 3.5, 80.0]))
    found = attributes_along(interpolate_levels(a, b, SHARES, "linear"), decode)
    for name in ("density", "mean_pitch", "notes_per_beat"):
        assert monotonicity(found[name]) > 0.95
    assert found["density"][0] == pytest.approx(70 / 60, rel=0.05)


def test_attributes_of_silence_are_nan():
    silence = Notes(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert np.isnan(attributes_along([{}], lambda z: silence)["density"]).all()


def test_mixing_takes_its_share_from_each(rng):
    a, b = np.zeros(4000, int), np.ones(5000, int)
    mixed = mix_tokens(a, b, 0.25, rng)
    assert len(mixed) == 4000
    assert mixed.mean() == pytest.approx(0.25, abs=0.03)


def test_midpoints_are_scored_beside_mixing(rng):
    """A model that expects each note to repeat the last: mixing breaks what it likes."""

    def repeated(pitch):
        onset = np.arange(60) / 4
        return tokenize(Notes(onset, np.full(60, 0.2), np.full(60, pitch), np.full(60, 80)))

    def nats(tokens):
        pitch = tokens[VOCABULARY.is_note_on(tokens)]
        return np.append(0.0, 2.0 * (np.diff(pitch) != 0))

    a, b, midpoint = repeated(60), repeated(64), repeated(62)

    found = midpoint_nats(nats, midpoint, a, b, rng)
    assert found["midpoint"] == found["a"] == found["b"] == 0
    assert found["mixed"] == pytest.approx(1, abs=0.3)
