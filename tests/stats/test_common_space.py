"""Functional alignment. Oracles: planted rotations, scipy, a dense loop, identities."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from giblet.errors import GibletError
from giblet.stats.common_space import ALIGNMENTS, fit_common_space, rotation
from giblet.stats.pearson import correlation
from giblet.stats.ridge import banded_weights

N_TRS, N_VOXELS, N_SHARED = 120, 12, 4
ALIGNED = [method for method in ALIGNMENTS if method != "none"]


@pytest.fixture
def turned(rng):
    """Three people whose responses are one, each rotated: (3, n_trs, n_voxels)."""
    one = rng.standard_normal((N_TRS, N_VOXELS))
    turns = ortho_group.rvs(N_VOXELS, size=3, random_state=1)
    return np.stack([one @ turn for turn in turns])


@pytest.fixture
def shared(rng):
    """Four people with four shared time courses in 12 voxels of their own, with noise."""
    courses = rng.standard_normal((N_TRS, N_SHARED)) * [4, 3, 2, 1]
    maps = [ortho_group.rvs(N_VOXELS, random_state=k)[:N_SHARED] for k in range(4)]
    noise = 0.1 * rng.standard_normal((4, N_TRS, N_VOXELS))
    return np.stack([courses @ one for one in maps]) + noise


def test_planted_rotations_are_recovered_exactly(turned):
    space = fit_common_space(turned, "procrustes")
    mapped = [t.to_common(one) for t, one in zip(space.people, turned, strict=True)]
    np.testing.assert_allclose(mapped, np.broadcast_to(space.template, turned.shape), atol=1e-8)
    for person, one in zip(space.people, turned, strict=True):
        np.testing.assert_allclose(person.into @ person.into.T, np.eye(N_VOXELS), atol=1e-8)
        np.testing.assert_allclose(person.to_voxels(space.template), one, atol=1e-8)


def test_a_rotation_is_that_of_scipy(rng):
    one, other = rng.standard_normal((2, 30, 8))
    expected, _scale = orthogonal_procrustes(one, other)
    np.testing.assert_allclose(rotation(one, other), expected, atol=1e-10)


def test_fewer_trs_than_voxels_give_the_polar_factor_of_their_span(rng):
    one, other = rng.standard_normal((2, 8, 30))
    left, _sizes, right = np.linalg.svd(one.T @ other)
    dense = left[:, :8] @ right[:8]
    np.testing.assert_allclose(rotation(one, other), dense, atol=1e-8)
    outside = np.linalg.svd(one)[2][8:].T  # directions in which nothing varied
    np.testing.assert_allclose(rotation(one, other).T @ outside, 0, atol=1e-8)


def test_shared_response_is_that_of_a_dense_loop(shared):
    """Chen et al. 2015, equations 3 and 4, from another start: the same subspace and loss."""
    n_features, rng = N_SHARED, np.random.default_rng(5)
    data = [one.T for one in shared]  # (n_voxels, n_trs), as in the paper
    maps = [np.linalg.qr(rng.standard_normal((N_VOXELS, n_features)))[0] for _ in data]
    for _ in range(200):
        response = np.mean([w.T @ x for w, x in zip(maps, data, strict=True)], axis=0)
        parts = [np.linalg.svd(x @ response.T, full_matrices=False) for x in data]
        maps = [left @ right for left, _sizes, right in parts]
    dense = sum(((x - w @ response) ** 2).sum() for w, x in zip(maps, data, strict=True))
    space = fit_common_space(shared, "srm", n_features, n_iter=50)
    pairs = zip(space.people, shared, strict=True)
    ours = sum(((one - person.to_voxels(space.template)) ** 2).sum() for person, one in pairs)
    assert ours == pytest.approx(dense, rel=1e-4)
    for person in space.people:
        np.testing.assert_allclose(person.into.T @ person.into, np.eye(n_features), atol=1e-8)


def test_procrustes_and_shared_response_are_those_of_fmralign(shared):
    """fmralign 0.0.6: the same rotation, and a shared response with the same loss."""
    pytest.importorskip("fmralign")
    from fmralign import GroupAlignment
    from fmralign.methods import DetSRM, Procrustes

    theirs = Procrustes(scaling=False).fit(shared[0], shared[1]).R
    np.testing.assert_allclose(rotation(shared[0], shared[1]), theirs, atol=1e-8)
    people = {str(n): one for n, one in enumerate(shared)}
    group = GroupAlignment(method=DetSRM(n_components=N_SHARED), n_iter=30)
    space = fit_common_space(shared, "srm", N_SHARED, n_iter=30)

    def loss(template):
        return sum(((x - template @ rotation(x, template).T) ** 2).sum() for x in shared)

    theirs = loss(group.fit(people, y="template").template)
    assert loss(space.template) == pytest.approx(theirs, rel=1e-8)
    for person, one in zip(space.people, shared, strict=True):
        into = DetSRM(N_SHARED).fit(one, space.template).Wt
        np.testing.assert_allclose(person.into, into, atol=1e-8)


def test_the_shared_response_holds_the_planted_courses(shared, rng):
    space = fit_common_space(shared, "srm", N_SHARED)
    truth = shared.mean(axis=0)  # of other people's voxels: not the courses
    mapped = np.stack([t.to_common(x) for t, x in zip(space.people, shared, strict=True)])
    assert correlation(mapped[0], mapped[1]).min() > 0.95
    assert correlation(shared[0], shared[1]).mean() < 0.5
    assert truth.shape[1] > space.template.shape[1] == N_SHARED


@pytest.mark.parametrize("method", ALIGNED)
def test_a_new_person_comes_in_and_the_template_stays(shared, method):
    space = fit_common_space(shared[:3], method, N_SHARED)
    before = space.template.copy()
    train = slice(0, 80)
    fitted = fit_common_space(shared[:3, train], method, N_SHARED)
    person = fitted.join(shared[3, train])
    np.testing.assert_array_equal(space.template, before)
    test = slice(80, None)
    others = [t.to_common(x[test]) for t, x in zip(fitted.people, shared[:3], strict=True)]
    aligned = correlation(person.to_common(shared[3, test]), np.mean(others, axis=0))
    assert np.nanmean(aligned) > 0.8 > np.mean(correlation(shared[3, test], shared[0, test])) + 0.3


@pytest.mark.parametrize("method", ALIGNED)
def test_the_template_never_sees_the_left_out_person(shared, method):
    """A person who joins changes nothing of the others, whatever they are."""
    space = fit_common_space(shared[:3], method, N_SHARED)
    maps = [t.into.copy() for t in space.people]
    space.join(1e3 * shared[3][::-1])
    for person, before in zip(space.people, maps, strict=True):
        np.testing.assert_array_equal(person.into, before)


@pytest.mark.parametrize("method", ALIGNED)
def test_only_trs_of_everyone_are_used(shared, method):
    """People whose runs show other seconds of the film: the fit is that of the common seconds."""
    holes = shared.copy()
    holes[0, :20], holes[1, 100:] = np.nan, np.nan
    space = fit_common_space(holes, method, N_SHARED)
    dense = fit_common_space(shared[:, 20:100], method, N_SHARED)
    np.testing.assert_allclose(space.template[20:100], dense.template, atol=1e-8)
    assert np.isnan(space.template[[0, -1]]).all()
    late = np.where(np.arange(N_TRS)[:, None] < 60, np.nan, shared[3])
    again = dense.join(late[20:100])
    np.testing.assert_allclose(space.join(late).into, again.into, atol=1e-6)


def test_ridge_takes_the_folds_that_are_given(shared):
    """Oracle: `banded_weights` of each person to the mean of the others, on the common TRs."""
    holes, label = shared.copy(), np.arange(N_TRS) // 15 % 4  # stretches of a fold are apart
    holes[0, :25] = np.nan
    folds = [(np.flatnonzero(label != k), np.flatnonzero(label == k)) for k in range(4)]
    space = fit_common_space(holes, "ridge", folds=folds)
    rows = np.arange(25, N_TRS)
    dense, own = holes[:, rows], label[rows]
    common = [(np.flatnonzero(own != k), np.flatnonzero(own == k)) for k in range(4)]
    others = dense[1:].mean(axis=0)
    expected, _offset = banded_weights([dense[0]], others, folds=common)
    by_blocks, _offset = banded_weights([dense[0]], others)
    np.testing.assert_allclose(space.people[0].into, expected, atol=1e-6)
    assert np.abs(expected - by_blocks).max() > 1e-4
    late = np.where(np.arange(N_TRS)[:, None] < 60, np.nan, shared[3])
    rows = np.arange(60, N_TRS)
    own = label[rows]
    common = [(np.flatnonzero(own != k), np.flatnonzero(own == k)) for k in range(4)]
    expected, _offset = banded_weights([late[rows]], space.template[rows], folds=common)
    np.testing.assert_allclose(space.join(late, folds).into, expected, atol=1e-6)


def test_folds_without_common_trs_are_left_out(shared):
    """Of a person who was scanned in the first of two stretches alone, as without folds."""
    space = fit_common_space(shared[:3], "ridge")
    early = np.where(np.arange(N_TRS)[:, None] < 60, shared[3], np.nan)
    halves = np.array_split(np.arange(N_TRS), 2)
    joined = space.join(early, [tuple(halves), tuple(halves[::-1])])
    np.testing.assert_array_equal(joined.into, space.join(early).into)


def test_without_alignment_voxels_stay(shared):
    space = fit_common_space(shared, "none")
    np.testing.assert_allclose(space.template, shared.mean(axis=0))
    np.testing.assert_array_equal(space.join(shared[0]).to_common(shared[0]), shared[0])
    np.testing.assert_array_equal(space.people[0].to_voxels(shared[0]), shared[0])


@pytest.mark.parametrize("method", ALIGNED)
def test_the_space_of_one_person_is_their_own(shared, method):
    space = fit_common_space(shared[:1], method, N_VOXELS)
    mapped = space.people[0].to_common(shared[0])
    np.testing.assert_allclose(mapped, space.template, atol=1e-8)
    np.testing.assert_allclose(space.people[0].to_voxels(mapped), shared[0], atol=1e-8)


def test_ten_trs_are_needed(shared):
    apart = shared.copy()
    apart[0, :60], apart[1, 65:] = np.nan, np.nan
    with pytest.raises(GibletError, match="5 training TRs are common to all subjects"):
        fit_common_space(apart, "procrustes")
    space = fit_common_space(shared[:2], "srm", N_SHARED)
    with pytest.raises(ValueError, match="120 TRs"):
        space.join(shared[2, :50])
