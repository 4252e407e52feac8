"""Provenance: labels and texts of the facts of a run."""

from collections.abc import Mapping
from typing import Any

from giblet.music.score_sync import lag_from_facts, lag_sentence

SHOWN_ELSEWHERE = ("dataset", "film", "simulated", "has_bold", "brains", "warnings", "config")
SHOWN_ELSEWHERE += ("settings", "nulls")
LABELS = {
    "t_r": "TR (s)",
    "n_trs": "TRs",
    "codec": "Codec",
    "codec_revision": "Codec revision",
    "bandwidth_kbps": "Bitrate (kbit/s)",
    "sample_rate": "Sample rate (Hz)",
    "frame_rate": "Frames per second",
    "framing": "Framing",
    "bend": "Sound in the codec",
    "modalities": "Modalities",
    "bold_source": "Source of BOLD",
    "subjects": "Subjects",
    "preprocessing": "Preprocessing before giblet",
    "voxels_read": "Decoded from",
    "versions": "Versions",
    "seed": "Seed",
    "parts": "TRs by part",
    "sound_track": "Sound track",
    "film_fingerprint": "Film or stimuli (SHA-256, first 16 digits)",
    "score": "Score",
    "score_offset": "Score begins at (s)",
    "score_lag": "Clock of the score",
    "score_fingerprint": "Score (SHA-256, first 16 digits)",
    "words_fingerprint": "Words (SHA-256, first 16 digits)",
    "scan_fingerprint": "Scans (SHA-256, first 16 digits)",
    "git_commit": "Commit of giblet",
}


def provenance(facts: dict) -> list[tuple[str, str]]:
    """Label and text of every fact that the page does not show elsewhere."""
    return [
        (
            LABELS.get(name, name.replace("_", " ")),
            _preprocessing(facts) if name == "preprocessing" else fact_text(fact),
        )
        for name, fact in facts.items()
        if name not in SHOWN_ELSEWHERE
    ]


def _preprocessing(facts: Mapping) -> str:
    """What was done before giblet, and where to read what giblet did.

    >>> _preprocessing({"preprocessing": "", "has_bold": True, "simulated": True})
    'none (simulated); by giblet: see Methods'
    """
    unknown = "none (simulated)" if facts.get("simulated") else "unknown"
    return f"{facts['preprocessing'] or unknown}; by giblet: see Methods"


def score_facts(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a score, from the attributes of the file that ``read_score`` wrote."""
    return {
        "score": attrs["score"],
        "score_offset": float(attrs["score_offset"]),
        "score_lag": lag_sentence(lag_from_facts(attrs)),
        "score_fingerprint": attrs["input"],
    }


def fact_text(fact) -> str:
    """A fact as printed.

    >>> fact_text({"torch": "2.13.0", "giblet": "0.1.0"}), fact_text(None)
    ('torch 2.13.0, giblet 0.1.0', '–')
    >>> fact_text(["01", "02"]), fact_text([])
    ('01, 02', '–')
    """
    if isinstance(fact, dict):
        return ", ".join(f"{name} {fact_text(part)}" for name, part in fact.items())
    if isinstance(fact, list):
        return ", ".join(map(fact_text, fact)) or "–"
    return "–" if fact is None or fact == "" else str(fact)
