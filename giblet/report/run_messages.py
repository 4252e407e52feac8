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
LARGEST_SHARE, LARGEST_SHARE_OF_PITCH = 0.1, 0.8
NO_PITCH = "no pitch"


MOST_ALIKE = 3  # messages that differ in names of files and in numbers alone, listed in full


def shortened(messages: Iterable[str]) -> list[str]:
    """``messages`` without repetition; of many of one kind three, and how many more there are.

    Messages are of one kind where they differ in numbers, and in words that have a digit or a
    file's ending, alone. The three are those of the largest numbers.

    >>> of_runs = [f"run-{n}_events.tsv: {n} stimuli are cut" for n in range(1, 41)]
    >>> short = shortened(["sub-01 moved", *of_runs])
    >>> len(short), short[1]
    (5, 'run-38_events.tsv: 38 stimuli are cut')
    >>> short[-1]
    '… and 37 more like "run-38_events.tsv: 38 stimuli are cut", with smaller numbers'
    >>> shortened(["a", "b", "a", "c", "d"])
    ['a', 'b', 'c', 'd']
    """
    kinds: dict[str, list[str]] = {}
    for message in dict.fromkeys(messages):
        kind = re.sub(r"[^\s:;,()]*(?:\d|\.[a-z]{2,4}\b)[^\s:;,()]*", "#", message)
        kinds.setdefault(kind, []).append(message)
    short = []
    for alike in kinds.values():
        largest = sorted(alike, key=_numbers, reverse=True)[:MOST_ALIKE]
        shown = [message for message in alike if message in largest]
        short += shown
        if n_more := len(alike) - len(shown):
            equal = _numbers(alike[0]) == _numbers(shown[0]) == ()
            smaller = "" if equal else ", with smaller numbers"
            short.append(f'… and {n_more} more like "{shown[0]}"{smaller}')
    return short


def _numbers(message: str) -> tuple[float, ...]:
    """Numbers in a message, in their order, but those in names.

    >>> _numbers("sub-02_run-1.nii.gz: 3 of 300 volumes (1.5 s)")
    (3.0, 300.0, 1.5)
    """
    return tuple(map(float, re.findall(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-])", message)))


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
    >>> is_note(gaps.format("no pitch in both", 30)), is_note(gaps.format("no pitch in both", 55))
    (True, False)
    """
    for pattern, most in COUNTED.items():
        if (match := re.search(pattern, message)) and int(match[1]) <= most:
            return True
    if not (match := re.search(GAPS, message)):
        return False
    shares = [int(n) / int(of) for n, of in re.findall(r"(\d+) of (\d+) of ", match["counts"])]
    return max(shares) <= (LARGEST_SHARE_OF_PITCH if NO_PITCH in match["why"] else LARGEST_SHARE)


def warnings_and_notes(messages: list[str]) -> tuple[list[str], list[str]]:
    """Warnings, and notes, in their order.

    >>> warnings_and_notes(["sub-01 moved", "brain.wav: 17 samples clipped, peak 1.03"])
    (['sub-01 moved'], ['brain.wav: 17 samples clipped, peak 1.03'])
    """
    notes = [one for one in messages if is_note(one)]
    return [one for one in messages if one not in notes], notes
