"""Scores of speech by models that the user gives: DNSMOS, similarity of speakers, word errors.

Nothing is downloaded, and without a model there is no row. Each model runs in a process of its own,
as PESQ does: a crash is one failure.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from giblet.audio.metrics import dnsmos, recogniser, speaker
from giblet.audio.metrics.child import child_command, scores_in_child
from giblet.audio.metrics.metric import HIGHER, LOWER, SEGMENTS, SPEECH, SPEECH_SEGMENTS, Metric
from giblet.errors import GibletError

DNSMOS, SPEAKER, RECOGNISER = "dnsmos", "speaker_model", "recogniser"  # in the settings
_FEWEST_SAMPLES = 16000  # 1 s
_PATHS: ContextVar[Mapping[str, str]] = ContextVar("paths of the models of speech", default={})  # noqa: B039


@contextmanager
def speech_models(paths: Mapping[str, str | None]) -> Iterator[None]:
    """Score with these models inside the block: `DNSMOS`, `SPEAKER`, `RECOGNISER` → path or None.

    Raises GibletError for one that does not exist.
    """
    given = {name: path for name, path in paths.items() if path}
    for name, path in given.items():
        if not Path(path).exists():
            raise GibletError(f"speech_models.{name}: {path} does not exist")
    token = _PATHS.set(given)
    try:
        yield
    finally:
        _PATHS.reset(token)


def has_model(name: str) -> bool:
    """Whether a model was given."""
    return name in _PATHS.get()


def dnsmos_scores(sounds: Sequence[np.ndarray]) -> list[float]:
    """DNSMOS P.835, overall quality (MOS, 1 to 5), of sounds (n_samples,) at 16 kHz.

    NaN for less than 1 s, and for a crash. It has no reference: fluent speech that is not in the
    original scores high. Raises GibletError where the model does not run.
    """
    return _scores([(sound, sound) for sound in sounds], dnsmos.__file__, DNSMOS, "onnxruntime")


def speaker_similarity(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Cosine of the speakers' embeddings of (reference, estimate) pairs at 16 kHz, -1 to 1.

    Waveforms (n_samples,). NaN for less than 1 s, and for a crash. Raises GibletError where the
    model does not run.
    """
    return _scores(pairs, speaker.__file__, SPEAKER, "transformers")


def word_error_rates(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Word error rates of (reference, estimate) pairs at 16 kHz, 0 for the same words.

    Words are those of the recogniser's transcripts, not the film's. NaN where the reference has
    none, for less than 1 s, and for a crash. Raises GibletError where it does not run.
    """
    return _scores(pairs, recogniser.__file__, RECOGNISER, "transformers")


def _scores(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], file: str, name: str, package: str
) -> list[float]:
    path = _PATHS.get()[name]
    command = child_command(file, str(Path(path).resolve()))
    long_enough = [pair for pair in pairs if len(pair[0]) >= _FEWEST_SAMPLES]
    try:
        scored = iter(scores_in_child(long_enough, command, package))
    except RuntimeError as error:
        advice = ' (pip install "giblet[dnsmos]")' if name == DNSMOS else ""
        reason = str(error).strip().splitlines()[-1].strip()
        raise GibletError(
            f"speech_models.{name}: {path} cannot be used with {package}{advice}: {reason}"
        ) from error
    return [next(scored) if len(pair[0]) >= _FEWEST_SAMPLES else np.nan for pair in pairs]


SPEECH_METRICS = (
    Metric(
        name="dnsmos",
        label="DNSMOS (overall)",
        decimals=2,
        applies_to=SPEECH,
        direction=HIGHER,
        lowest=1,
        best=5,
        counted=SPEECH_SEGMENTS,
        moment=SEGMENTS,
        function=lambda pairs: dnsmos_scores([e.at_16k for _, e in pairs]),
        in_child=True,
        n_shifts=1,
        model=DNSMOS,
        unscored="silence, or too short",
        method="DNSMOS P.835, overall (Reddy et al., 2022)",
        reference=(
            "Reddy et al., 2022",
            "Reddy CKA, Gopal V, Cutler R (2022). DNSMOS P.835: a non-intrusive perceptual "
            "objective speech quality metric to evaluate noise suppressors. ICASSP 2022.",
        ),
    ),
    Metric(
        name="speaker_similarity",
        label="Speaker similarity",
        applies_to=SPEECH,
        direction=HIGHER,
        best=1,
        counted=SPEECH_SEGMENTS,
        moment=SEGMENTS,
        function=lambda pairs: speaker_similarity([(r.at_16k, e.at_16k) for r, e in pairs]),
        in_child=True,
        n_shifts=1,
        model=SPEAKER,
        unscored="silence, or too short",
        method="cosine of x-vectors (speaker similarity)",
    ),
    Metric(
        name="word_error_rate",
        label="Word error rate",
        decimals=2,
        applies_to=SPEECH,
        direction=LOWER,
        best=0,
        counted=SPEECH_SEGMENTS,
        moment=SEGMENTS,
        function=lambda pairs: word_error_rates([(r.at_16k, e.at_16k) for r, e in pairs]),
        in_child=True,
        n_shifts=1,
        model=RECOGNISER,
        unscored="silence, or no word heard in the original",
        method="word error rate between a recogniser's transcripts of both sounds",
    ),
)
