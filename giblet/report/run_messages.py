"""Warnings of a run, apart from notes: events that change no result noticeably."""

import re

# message that counts something: the most of it that changes no result noticeably
COUNTED = {
    r"(\d+) samples clipped, peak": 1000,  # 42 ms at 24 kHz
    r"(\d+) TRs? (?:was|were) scanned after the film's end, and left out": 20,  # one HRF or so
}
# the same, counted out of a number: the largest share that changes no result noticeably
SHARES = {r"(\d+) of (\d+) scores of single subjects are missing": 0.1}


def is_note(message: str) -> bool:
    """Whether a warning needs no action by anyone.

    >>> is_note("brain.wav: 17 samples clipped, peak 1.03"), is_note("sub-01 moved")
    (True, False)
    >>> after = "TRs were scanned after the film's end, and left out"
    >>> is_note(f"6 {after}"), is_note(f"600 {after}")  # of the latter half the film is missing
    (True, False)
    >>> missing = "of 56 scores of single subjects are missing; means are over the others"
    >>> is_note(f"F0 error of brain: 3 {missing}"), is_note(f"F0 error of brain: 30 {missing}")
    (True, False)
    """
    for pattern, most in COUNTED.items():
        if (match := re.search(pattern, message)) and int(match[1]) <= most:
            return True
    for pattern, largest in SHARES.items():
        if (match := re.search(pattern, message)) and int(match[1]) <= largest * int(match[2]):
            return True
    return False


def warnings_and_notes(messages: list[str]) -> tuple[list[str], list[str]]:
    """Warnings, and notes, in their order.

    >>> warnings_and_notes(["sub-01 moved", "brain.wav: 17 samples clipped, peak 1.03"])
    (['sub-01 moved'], ['brain.wav: 17 samples clipped, peak 1.03'])
    """
    notes = [one for one in messages if is_note(one)]
    return [one for one in messages if one not in notes], notes
