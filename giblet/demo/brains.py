"""Simulated brains: a stimulus' features, through an HRF, into voxels, with a scanner's noise.

Each region responds to features of its own, each voxel to a linear mix of them. Viewers of a film
have auditory, visual and language voxels; listeners to music auditory voxels, and others that
follow surprisal, tonality and form. People answer alike, or have topographies of their own. Arrays
only: `giblet.demo.bids_writer` writes them as a BIDS data set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from giblet.alignment.lag import adapt
from giblet.demo.stimulus import centres, resample
from giblet.io.validation import check_features
from giblet.timing import (
    frames_rate_hz,
    sample_times,
    tr_moments,
    tr_onsets,
    trs_for,
    whole_trs,
)

SOUND, PICTURES, WORDS = "auditory", "visual", "language"
SURPRISAL, TONALITY, FORM = "surprisal", "tonal", "form"
Place = tuple[float, list[tuple[int, int, int]]]  # radius and centres, mm in MNI space
_AUDITORY: Place = (20.0, [(-52, -20, 8), (52, -20, 8)])


@dataclass(frozen=True)
class Kind:
    """A kind of simulated brains.

    ``does``: in descriptions; ``task``: BIDS task and type of the event; ``regions``: name of a
    region → its place, in the order of the features; ``adapting``: regions that respond to change,
    see `giblet.alignment.lag.adapt`.
    """

    does: str
    task: str
    regions: Mapping[str, Place]
    adapting: frozenset[str]


VIEWERS = Kind(
    "watching a film",
    "film",
    {
        SOUND: _AUDITORY,
        PICTURES: (20.0, [(0, -85, 0), (-20, -85, 0), (20, -85, 0)]),
        WORDS: (14.0, [(-48, 20, 12), (-56, -44, 4), (-46, -62, 24), (-52, 0, -20)]),
    },
    frozenset({SOUND, PICTURES, WORDS}),
)
LISTENERS = Kind(
    "listening to music",
    "music",
    {
        SOUND: _AUDITORY,
        SURPRISAL: (16.0, [(-46, 22, 8), (46, 22, 8)]),  # inferior frontal
        TONALITY: (18.0, [(0, 54, 6)]),  # rostromedial prefrontal (Janata et al. 2002, Science 298)
        FORM: (18.0, [(0, -58, 36)]),  # precuneus
    },
    frozenset({SOUND}),
)
BASELINE = 1000.0  # scanner units
RESPONSE = 0.01  # standard deviation of the strongest response, as a share of the baseline


@dataclass(frozen=True)
class Brain:
    """The places of voxels and the strength of their responses.

    ``mask`` (i, j, k) bool; ``affine`` (4, 4); ``membership`` (n_regions, n_voxels) bool, at most
    one region a voxel; ``strength`` (n_voxels,) from 1 at a region's centre to 0.5 at its edge, 0
    outside; ``noise``: standard deviation of the noise, in strengths; ``kind``: whose regions they
    are.
    """

    mask: np.ndarray
    affine: np.ndarray
    membership: np.ndarray
    strength: np.ndarray
    noise: float
    kind: Kind = VIEWERS

    @property
    def noise_ceiling(self) -> np.ndarray:
        """Correlation of the noiseless response with response plus noise, (n_voxels,).

        The root of the reliable share of the variance, before drift and motion come in and cleaning
        takes them out with some slow response. Cleaned alike (demo film, 0.01 Hz high-pass), the
        two correlated 0.01 less for sound and words, 0.07 less for the slowly changing video.
        """
        return np.sqrt(self.strength**2 / (self.strength**2 + self.noise**2))

    @property
    def places(self) -> np.ndarray:
        """Centres of the voxels, (n_voxels, 3) mm."""
        from nibabel.affines import apply_affine

        return apply_affine(self.affine, np.argwhere(self.mask))


@dataclass(frozen=True)
class RunClock:
    """One run: it shows ``duration`` s of film from second ``film_start``, ``lead_in`` s in."""

    film_start: float
    duration: float
    lead_in: float
    scan_times: np.ndarray  # (n_volumes,) s, when each volume is taken


def make_brain(resolution_mm: float, noise: float, kind: Kind = VIEWERS) -> Brain:
    """The voxels of nilearn's MNI152 template brain, and the regions they belong to."""
    from nibabel.affines import apply_affine
    from nilearn.datasets import load_mni152_brain_mask

    image = load_mni152_brain_mask(resolution=resolution_mm)
    mask = np.asanyarray(image.dataobj) > 0
    places = apply_affine(image.affine, np.argwhere(mask))[:, None]  # (n_voxels, 1, 3)
    reach = np.stack(  # (n_regions, n_voxels): distance to the nearest centre, in radii
        [np.linalg.norm(places - c, axis=2).min(axis=1) / r for r, c in kind.regions.values()]
    )
    membership = (reach == reach.min(axis=0)) & (reach < 1)
    strength = np.where(membership, 1 - reach**2 / 2, 0).sum(axis=0)
    return Brain(mask, image.affine, membership, strength, noise, kind)


def run_clocks(
    film_duration: float, t_r: float, n_runs: int, lead_in: float, lead_out: float
) -> list[RunClock]:
    """Share the film's whole TRs out over the runs; volumes are timed at the middle of their TR.

    >>> [(c.film_start, c.duration, len(c.scan_times)) for c in run_clocks(540, 1.5, 2, 6.0, 9.0)]
    [(0.0, 270.0, 190), (270.0, 270.0, 190)]
    """
    n_trs = whole_trs(film_duration, t_r)
    edges = tr_onsets(n_trs + 1, t_r)[np.linspace(0, n_trs, n_runs + 1).astype(int)]
    return [
        RunClock(
            float(start),
            float(end - start),
            lead_in,
            tr_moments(trs_for(lead_in + end - start + lead_out, t_r), t_r),
        )
        for start, end in pairwise(edges)
    ]


def blur(
    features: np.ndarray, rate_hz: float, clock: RunClock, t_r: float, *, oversampling: int = 32
) -> np.ndarray:
    """BOLD response to ``features`` (n_samples, n_features) in one run, (n_volumes, n_features).

    Convolved causally with SPM's HRF on a grid ``oversampling`` times finer than the TR, then read
    off when each volume is taken. Nothing is shown before the film begins or after it ends.
    """
    from nilearn.glm.first_level import spm_hrf
    from scipy.signal import fftconvolve

    seconds = sample_times(clock.scan_times[-1], frames_rate_hz(oversampling, t_r))  # since onset
    shown = resample(features, centres(len(features), rate_hz), clock.film_start + seconds)
    shown[seconds >= clock.duration] = 0.0
    kernel = spm_hrf(t_r, oversampling=oversampling)[:, None]
    response = fftconvolve(shown, kernel, axes=0)[: len(seconds)]
    return resample(response, seconds, clock.scan_times - clock.lead_in)


def respond(
    rng: np.random.Generator,
    brain: Brain,
    blurred: Sequence[np.ndarray],
    mixes: Sequence[np.ndarray],
    *,
    individual: float = 0.3,
    own: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """One subject's noiseless response, (n_volumes, n_voxels), in strengths.

    ``blurred``: for each region (n_volumes, n_features); ``mixes``: (n_features, n_members), shared
    by all subjects but for ``individual`` variation (in standard deviations of the mix). ``own``:
    for each region (n_members, n_members) of `own_topography`.
    """
    response = np.zeros((len(blurred[0]), len(brain.strength)))
    regions = zip(brain.membership, blurred, mixes, strict=True)
    for n, (members, inputs, mix) in enumerate(regions):
        own_mix = mix + individual * rng.standard_normal(mix.shape)
        members_response = inputs @ own_mix
        members_response /= np.maximum(members_response.std(axis=0), 1e-12)
        if own is not None:
            members_response = members_response @ own[n]
            members_response /= np.maximum(members_response.std(axis=0), 1e-12)
        response[:, members] = members_response * brain.strength[members]
    return response


def own_topography(
    rng: np.random.Generator, places: np.ndarray, topography: float, *, radius_mm: float = 12.0
) -> np.ndarray:
    """One subject's mixing of a region's voxels, (n_voxels, n_voxels): a column for each of them.

    Of the variance that a voxel has, ``topography`` (0 to 1) is of a random mix of the voxels up
    to ``radius_mm`` away, the rest its own. ``places`` (n_voxels, 3) mm.
    """
    from scipy.spatial import cKDTree

    pairs = cKDTree(places).query_pairs(radius_mm, output_type="ndarray")
    weights = np.zeros((len(places), len(places)))
    weights[pairs[:, 0], pairs[:, 1]] = rng.standard_normal(len(pairs))
    weights[pairs[:, 1], pairs[:, 0]] = rng.standard_normal(len(pairs))
    length = np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
    return np.sqrt(1 - topography) * np.eye(len(places)) + np.sqrt(topography) * weights / length


def scan(
    rng: np.random.Generator,
    response: np.ndarray,
    noise: float,
    *,
    autocorrelation: float = 0.4,
    drift: float = 2.0,
    artefact: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """BOLD (n_volumes, n_voxels) in scanner units and the motion (n_volumes, 6) in mm and radians.

    To ``response`` come AR(1) noise of standard deviation ``noise`` (white in space), a slow
    ``drift`` and head-motion artefacts linear in the six parameters, all in strengths.
    """
    from scipy.signal import lfilter

    n_volumes, n_voxels = response.shape
    shocks = rng.standard_normal(response.shape)
    shocks[1:] *= np.sqrt(1 - autocorrelation**2)  # unit variance from the first volume on
    bold = response + noise * lfilter([1.0], [1.0, -autocorrelation], shocks, axis=0)
    time = np.linspace(0, 1, n_volumes)
    slow = np.column_stack([time, np.cos(np.pi * time)])
    bold += drift * slow @ rng.standard_normal((2, n_voxels))
    steps = rng.standard_normal((n_volumes, 6)) * ([0.02] * 3 + [0.0003] * 3)
    motion = np.cumsum(steps, axis=0)
    moved = (motion - motion.mean(axis=0)) / motion.std(axis=0)
    bold += artefact * moved @ rng.standard_normal((6, n_voxels))
    return BASELINE * (1 + RESPONSE * bold), motion


def simulate_scans(
    features: Sequence[np.ndarray],
    rate_hz: float,
    t_r: float,
    clocks: Sequence[RunClock],
    brain: Brain,
    n_subjects: int,
    seed: int,
    topography: float = 0.0,
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Every scan in turn: subject, run (both from 0), BOLD (n_volumes, n_voxels), motion.

    ``features``: for each region of the brain's kind (n_samples, n_features) at ``rate_hz``.
    ``topography``: share of a voxel's variance that is arranged in each subject's own way, see
    `own_topography`; noise and motion do not depend on it.
    """
    checked = zip(brain.kind.regions, map(check_features, features), strict=True)
    features = [
        _standardise(adapt(array, rate_hz) if region in brain.kind.adapting else array)
        for region, array in checked
    ]
    blurred = [np.concatenate([blur(f, rate_hz, c, t_r) for c in clocks]) for f in features]
    shared = np.random.default_rng([seed, 0])
    sizes = zip(features, brain.membership.sum(axis=1), strict=True)
    mixes = [shared.standard_normal((array.shape[1], n_members)) for array, n_members in sizes]
    run_ends = np.cumsum([len(clock.scan_times) for clock in clocks])
    for subject in range(n_subjects):
        rng = np.random.default_rng([seed, 1 + subject])
        own = None
        if topography:
            drawn = np.random.default_rng([seed, 1 + subject, 1])
            places = [brain.places[members] for members in brain.membership]
            own = [own_topography(drawn, one, topography) for one in places]
        response = respond(rng, brain, blurred, mixes, own=own)
        for run, in_run in enumerate(np.split(response, run_ends[:-1])):
            yield subject, run, *scan(rng, in_run, brain.noise)


def _standardise(features: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over the film; a column that never changes becomes 0."""
    spread = features.std(axis=0)
    if not (spread > 1e-9).any():
        raise ValueError("features never change: there is nothing to respond to")
    return (features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
