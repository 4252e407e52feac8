"""Warnings of a run, apart from notes: events that change no result noticeably."""

import re
from collections.abc import Iterable

# message that counts something: the most of it that changes no result noticeably
COUNTED = {
    r"(\d+) samples clipped, peak": 1000,  # 42 ms at 24 kHz
    r"(\d+) TRs? (?:was|were) scanned after the film's end, and left out": 20,  # one HRF or so
}
# a few scores of single subjects, or those of a sound's pitch: sound from BOLD often has none
GAPS = r"scores of single subjects are missing \((?P<why>.*)\): (?P<counts>.*); means are over"
LARGEST_SHARE = 0.1
NO_PITCH = "no pitch"


MOST_ALIKE = 3  # messages that differ in names of files and in numbers alone, listed in full


def shortened(messages: Iterable[str]) -> list[str]:
    """``messages`` without repetition; of many of one kind the first three, and how many more.

    Messages are of one kind where they differ in numbers, and in words that have a digit or a
    file's ending, alone.

    >>> of_runs = [f"run-{n}_events.tsv: {n} stimuli are cut" for n in range(1, 41)]
    >>> short = shortened(["sub-01 moved", *of_runs])
    >>> len(short), short[1][:16], short[-1]
    (5, 'run-1_events.tsv', '… and 37 more like "run-1_events.tsv: 1 stimuli are cut"')
    >>> shortened(["a", "b", "a", "c", "d"])
    ['a', 'b', 'c', 'd']
    """
    kinds: dict[str, list[str]] = {}
    for message in dict.fromkeys(messages):
        kind = re.sub(r"[^\s:;,()]*(?:\d|\.[a-z]{2,4}\b)[^\s:;,()]*", "#", message)
        kinds.setdefault(kind, []).append(message)
    short = []
    for alike in kinds.values():
        short += alike[:MOST_ALIKE]
        if len(alike) > MOST_ALIKE:
            short.append(f'… and {len(alike) - MOST_ALIKE} more like "{alike[0]}"')
    return short


def is_note(message: str) -> bool:
    """Whether a warning needs no action by anyone.

    >>> is_note("brain.wav: 17 samples clipped, peak 1.03"), is_note("sub-01 moved")
    (True, False)
    >>> after = "TRs were scanned after the film's end, and left out"
    >>> is_note(f"6 {after}"), is_note(f"600 {after}")  # of the latter half the film is missing
    (True, False)
    >>> gaps = "scores of single subjects are missing ({}): {} of 56 of brain; means are over"
    >>> is_note(gaps.format("silence", 3)), is_note(gaps.format("silence", 30))
    (True, False)
    >>> is_note(gaps.format("silence, or no pitch in both", 30))
    True
    """
    for pattern, most in COUNTED.items():
        if (match := re.search(pattern, message)) and int(match[1]) <= most:
            return True
    if not (match := re.search(GAPS, message)):
        return False
    shares = [int(n) / int(of) for n, of in re.findall(r"(\d+) of (\d+) of ", match["counts"])]
    return NO_PITCH in match["why"] or max(shares) <= LARGEST_SHARE


def warnings_and_notes(messages: list[str]) -> tuple[list[str], list[str]]:
    """Warnings, and notes, in their order.

    >>> warnings_and_notes(["sub-01 moved", "brain.wav: 17 samples clipped, peak 1.03"])
    (['sub-01 moved'], ['brain.wav: 17 samples clipped, peak 1.03'])
    """
    notes = [one for one in messages if is_note(one)]
    return [one for one in messages if one not in notes], notes
