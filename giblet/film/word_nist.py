"""Words in the formats of NIST's scoring tools, which Kaldi writes: .ctm and .stm."""

import re
from pathlib import Path

import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import decoded_text

_LABELS = re.compile(r"\s*<[^<>]*>")  # of an utterance: <o,f0,male>
_FEWEST = 5  # fields of a line
_NOT_SCORED = "ignore_time_segment_in_scoring"  # in place of text
_FIELDS = {
    ".ctm": "recording, channel, onset, duration, word",
    ".stm": "recording, channel, speaker, onset, end, text",
}


def nist_rows(path: Path) -> pd.DataFrame:
    """Words (.ctm: onset, duration, text) or utterances (.stm: onset, end, text), as written."""
    kind, rows, recordings = path.suffix.lower(), [], set()
    for number, line in enumerate(decoded_text(path).split("\n"), 1):
        if not line.strip() or line.startswith(";;"):  # a comment
            continue
        fields = line.split(maxsplit=5)
        if len(fields) < _FEWEST:
            problem = f"line {number} has {len(fields)} fields, not {_FIELDS[kind]}"
            raise GibletError(f"{path}: {problem}")
        recordings.add(fields[0])
        if kind == ".ctm":
            rows.append(fields[2:5])
        else:
            text = _LABELS.sub("", "".join(fields[5:]), count=1).strip()
            rows.append([*fields[3:5], "" if text.lower() == _NOT_SCORED else text])
    if len(recordings) > 1:
        names = ", ".join(sorted(recordings))[:80]
        raise GibletError(f"{path}: has words of several recordings ({names}); keep one")
    last = "duration" if kind == ".ctm" else "end"
    return pd.DataFrame(rows, columns=["onset", last, "text"], dtype=object)
