"""Words in JSON, as speech recognisers and forced aligners write them."""

import json
from pathlib import Path

import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import decoded_text, interval_rows, one_line

_LISTS = ("words", "word_segments", "fragments", "chunks", "transcription", "result")
_PARTS = ("words", "result")  # of whisper and what is like it, of Vosk
_TEXT = ("word", "text", "lines")
_EVENTS = ("audio_event", "spacing")  # kinds of items that nobody says
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
    rows = [row for item in items if any(row := _row(item))]
    if not any(text for *_, text in rows):
        raise GibletError(f"{path}: there is no text in it")
    return pd.DataFrame(rows, columns=["onset", "end", "text"], dtype=object)


def _items(content: object) -> list[dict]:
    """The words, or segments where there are none."""
    if isinstance(content, dict):
        if isinstance(content.get("segments"), list):
            parts = _smallest(content["segments"])
            # OpenAI's service lists words beside the segments, not in them
            whole = parts == _objects(content["segments"])
            return (whole and _objects(content.get("words"))) or parts
        return next((items for key in _LISTS if (items := _smallest(content.get(key)))), [])
    return _smallest(content)


def _smallest(value: object) -> list[dict]:
    """The words of each item of a list, the item itself where it has none."""
    items = value if isinstance(value, list) else []
    parts = [_parts(item) or _objects([item]) for item in items if isinstance(item, dict)]
    return [item for part in parts for item in part]


def _parts(item: dict) -> list[dict]:
    if isinstance(item.get("children"), list):  # of aeneas, in several levels
        return _smallest(item["children"])
    return next((words for key in _PARTS if (words := _objects(item.get(key)))), [])


def _objects(value: object) -> list[dict]:
    if not isinstance(value, list):
        return []
    words = [item for item in value if isinstance(item, dict) and any(k in item for k in _TEXT)]
    return [item for item in words if item.get("type") not in _EVENTS]


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
    begin = item.get("start", item.get("begin"))
    if "end" not in item and _is_number(begin) and _is_number(item.get("duration")):
        return begin, float(begin) + float(item["duration"])
    return begin, item.get("end")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
