"""The page of a listening test: one file with all sounds, and the key that it does not have."""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from giblet.listening_test.trials import Trial
from giblet.report.page_text import template_environment
from giblet.report.strips import level_gains

_ID_DIGITS = 16


def sound_uri(waveform: np.ndarray, sample_rate: int) -> str:
    """A sound (n_samples,) as FLAC with 16 bits, a data URI: nothing is lost, unlike in Opus."""
    import soundfile

    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def render_test(
    trials: Sequence[Trial],
    waveforms: Sequence[Sequence[np.ndarray]],
    sample_rate: int,
    title: str,
) -> tuple[str, dict]:
    """The page, and the key to its answers.

    All sounds are brought to the RMS level of the first, and lowered together where one would clip.

    Parameters
    ----------
    trials : in order; ratings follow choices
    waveforms : of each trial, as `giblet.listening_test.trials.trial_waveforms` has them
    title : heading of the page

    Returns
    -------
    page : HTML; it names neither columns nor clips, and needs no network
    key : ``test`` (an id, of the page's content), ``trials`` (id → `Trial` as dict)
    """
    gains = iter(level_gains([wave for waves in waveforms for wave in waves]))
    encoded: dict[tuple[bytes, float], str] = {}  # samples and gain → data URI
    uris: dict[str, int] = {}  # each sound once, although several screens may have it
    screens, key = [], {}
    for number, (trial, waves) in enumerate(zip(trials, waveforms, strict=True), start=1):
        heard = [(np.ascontiguousarray(wave).tobytes(), next(gains), wave) for wave in waves]
        for samples, gain, wave in heard:
            if (samples, gain) not in encoded:
                encoded[samples, gain] = sound_uri(gain * wave, sample_rate)
        numbers = [uris.setdefault(encoded[s, gain], len(uris)) for s, gain, _ in heard]
        name = f"trial-{number:03d}"
        screens.append({"id": name, "kind": trial.kind, "sounds": numbers})
        key[name] = asdict(trial)
    content = {"screens": screens, "sounds": list(uris)}
    digest = hashlib.sha256(json.dumps([content, key]).encode()).hexdigest()[:_ID_DIGITS]
    environment = template_environment("giblet.listening_test")
    script = environment.get_template("test.js.jinja").render()
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = environment.get_template("page.html.jinja").render(
        title=title,
        script=script,
        script_hash=script_hash,
        content=json.dumps({"test": digest} | content),
        n_choices=sum(trial.kind == "choice" for trial in trials),
        n_ratings=sum(trial.kind == "rating" for trial in trials),
    )
    return page, {"test": digest, "trials": key}
