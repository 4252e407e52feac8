"""Words in JSON, as speech recognisers and forced aligners write them."""

import json
from pathlib import Path

import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import decoded_text, interval_rows, one_line

_LISTS = ("words", "word_segments", "fragments", "chunks", "transcription", "result")
_TEXT = ("word", "text", "lines")
_KINDS = (
    "segments (whisper, whisperX), words (gentle), tiers (MFA), fragments (aeneas), "
    "chunks (transformers) or transcription (whisper.cpp)"
)


def json_rows(path: Path, tier: str | None, warned: list[str]) -> pd.DataFrame:
    """Words, or segments where there are no words: onset, end and text, missing times as None.

    ``tier``, ``warned``: as `interval_rows`. Read are whisper and what is like it (words of
    ``segments``), whisper.cpp, pipelines of transformers, gentle, aeneas, Vosk, and TextGrids in
    JSON (Montreal Forced Aligner, praatIO).
    """
    try:
        content = json.loads(decoded_text(path))
    except (ValueError, RecursionError) as error:
        raise GibletError(f"{path}: not valid JSON ({one_line(error)})") from error
    if isinstance(content, dict) and "tiers" in content:
        return interval_rows(path, tier, warned)
    items = _items(content)
    if not items:
        raise GibletError(f"{path}: is no JSON of words that giblet knows: {_KINDS}")
    rows = [_row(item) for item in items]
    if not any(text for *_, text in rows):
        raise GibletError(f"{path}: there is no text in it")
    return pd.DataFrame(rows, columns=["onset", "end", "text"], dtype=object)


def _items(content: object) -> list[dict]:
    """The words, or segments where there are none."""
    if isinstance(content, dict) and isinstance(content.get("segments"), list):
        segments = [item for item in content["segments"] if isinstance(item, dict)]
        parts = [_objects(segment.get("words")) or _objects([segment]) for segment in segments]
        return [item for part in parts for item in part]
    if isinstance(content, dict):
        return next((items for key in _LISTS if (items := _objects(content.get(key)))), [])
    return _objects(content)


def _objects(value: object) -> list[dict]:
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and any(key in item for key in _TEXT)]


def _row(item: dict) -> tuple:
    text = next(item[key] for key in _TEXT if key in item)
    text = " ".join(map(str, text)) if isinstance(text, list) else str(text or "")
    times = [None if time is None else str(time) for time in _times(item)]
    return *times, " ".join(text.split())


def _times(item: dict) -> tuple:
    """Onset and end, None where a word has no time."""
    if isinstance(span := item.get("timestamp"), list) and len(span) == 2:  # of transformers
        return span[0], span[1]
    if isinstance(span := item.get("timestamps"), dict):  # of whisper.cpp
        return span.get("from"), span.get("to")
    return item.get("start", item.get("begin")), item.get("end")
