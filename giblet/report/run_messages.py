"""Warnings of a run, apart from notes: events that change no result noticeably."""

import re

# message that counts something: the most of it that changes no result noticeably
COUNTED = {
    r"(\d+) samples clipped, peak": 1000,  # 42 ms at 24 kHz
    r"(\d+) TRs? (?:was|were) scanned after the film's end, and left out": 20,  # one HRF or so
}


def is_note(message: str) -> bool:
    """Whether a warning needs no action by anyone.

    >>> is_note("brain.wav: 17 samples clipped, peak 1.03"), is_note("sub-01 moved")
    (True, False)
    >>> after = "TRs were scanned after the film's end, and left out"
    >>> is_note(f"6 {after}"), is_note(f"600 {after}")  # of the latter half the film is missing
    (True, False)
    """
    matches = ((re.search(pattern, message), most) for pattern, most in COUNTED.items())
    return any(match and int(match[1]) <= most for match, most in matches)


def warnings_and_notes(messages: list[str]) -> tuple[list[str], list[str]]:
    """Warnings, and notes, in their order.

    >>> warnings_and_notes(["sub-01 moved", "brain.wav: 17 samples clipped, peak 1.03"])
    (['sub-01 moved'], ['brain.wav: 17 samples clipped, peak 1.03'])
    """
    notes = [one for one in messages if is_note(one)]
    return [one for one in messages if one not in notes], notes
