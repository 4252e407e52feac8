"""Warnings of a run, apart from notes: events that change no result noticeably."""

import re

MOST_CLIPPED = 1000  # samples: 42 ms at 24 kHz
NOTES = (r"\d+ TRs were scanned after the film's end, and left out",)
_CLIPPED = re.compile(r"(\d+) samples clipped, peak")


def is_note(message: str) -> bool:
    """Whether a warning needs no action by anyone.

    >>> is_note("brain.wav: 17 samples clipped, peak 1.03"), is_note("sub-01 moved")
    (True, False)
    """
    if clipped := _CLIPPED.search(message):
        return int(clipped[1]) <= MOST_CLIPPED
    return any(re.search(pattern, message) for pattern in NOTES)


def warnings_and_notes(messages: list[str]) -> tuple[list[str], list[str]]:
    """Warnings, and notes, in their order.

    >>> warnings_and_notes(["sub-01 moved", "brain.wav: 17 samples clipped, peak 1.03"])
    (['sub-01 moved'], ['brain.wav: 17 samples clipped, peak 1.03'])
    """
    notes = [one for one in messages if is_note(one)]
    return [one for one in messages if one not in notes], notes
