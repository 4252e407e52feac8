"""Marks of sounds, music, noise and speakers in a transcript: nobody says them."""

import re
from collections.abc import Iterable

_NOTES = "♩♪♫♬🎵🎶"
_MUSIC = f"[{_NOTES}]"
_SOUNDS = re.compile(
    rf"{_MUSIC}.*?(?:{_MUSIC}+|\Z)"  # ♪ sung ♪, which may be open at the end
    r"|\[[^\[\]]*\]|\{[^{}]*\}|［[^］]*］|【[^】]*】"  # [DOOR CREAKS], {LG}
    r"|</?(?:unk|spn|sil|eps|s|p:|usb|nib|noise|vocnoise|laughter|laugh|cough|breath|music)>",
    re.DOTALL | re.IGNORECASE,
)
_ROUND = re.compile(r"\([^()]*\)|（[^（）]*）")  # (laughs)
# whole labels: noise of aligners (Montreal, Kaldi, HTK, Sphinx), codes of CHAT, sung subtitles
_LABELS = re.compile(
    r"spn|nsn|<[^<>\s]+>|!(?:sil|enter|exit|null)|\+\+[^+\s]+\+\+|&=\S+|#\s.*\s#",
    re.IGNORECASE | re.DOTALL,
)
_CHEVRONS = re.compile(r"\s*>>+")
_SPEAKER = re.compile(r"\s*(?:[-–—]\s*)?([^\W\d_][\w .,'’&#/-]{0,30}?)\s*:(?=\s|$)")
_LEFT_COLON = re.compile(r"\s*:(?=\s|$)")
_NAME_WORDS = 3  # of a speaker, at most
# without any of these there is no mark; texts are many
_SUSPICIOUS = re.compile(
    rf"[{_NOTES}\[{{<(（［【>]|:(?=\s|\Z)|\A\s*(?:[#!+&]|[sSnN][pPsS][nN]\s*\Z)"
)


def is_word_by_word(texts: Iterable[str]) -> bool:
    """Whether most rows that have text have one word.

    >>> is_word_by_word(["NO:", "", "it", "is"]), is_word_by_word(["(laughs)", "so it is", "I am"])
    (True, False)
    """
    n_words = [len(text.split()) for text in texts]
    return n_words.count(1) > (len(n_words) - n_words.count(0)) / 2


def spoken_text(
    text: str, *, in_subtitles: bool = False, word_by_word: bool = False
) -> tuple[str, list[str]]:
    """``text`` without what nobody says, and the marks that were left out.

    Sounds and noise in square or curly brackets, music between notes, noise labels of forced
    aligners, and speakers in capital letters at the begin of a line. Round brackets are a mark
    where they hold the whole text, and anywhere in subtitles. In transcripts ``word_by_word``
    round brackets and capitals before a colon are text: such a row is a word.

    >>> spoken_text("[DOOR CREAKS] JOHN: Who is there?")
    ('Who is there?', ['[DOOR CREAKS]', 'JOHN:'])
    >>> spoken_text("I <3 you (so much): 5 > 4"), spoken_text("(laughs)")
    (('I <3 you (so much): 5 > 4', []), ('', ['(laughs)']))
    >>> spoken_text("NO:", word_by_word=True), spoken_text("(yes)", word_by_word=True)
    (('NO:', []), ('(yes)', []))
    """
    if not _SUSPICIOUS.search(text):
        return text, []
    if _LABELS.fullmatch(text.strip()) or _is_end_of_song(text):
        return "", [text.strip()]
    marks: list[str] = []

    def left_out(mark: re.Match) -> str:
        marks.append(" ".join(mark[0].split()))
        return " "

    text = _SOUNDS.sub(left_out, text)
    if in_subtitles or (not word_by_word and _ROUND.fullmatch(text.strip())):
        text = _ROUND.sub(left_out, text)
    lines = [_without_speaker(line, marks, named=not word_by_word) for line in text.split("\n")]
    if not marks:
        return text, []
    return "\n".join(" ".join(line.split()) for line in lines if line.strip()), marks


def _is_end_of_song(text: str) -> bool:
    """Whether the only note is at the end: the song began in an earlier subtitle."""
    start = re.search(_MUSIC, text)
    return start is not None and not text[start.end() :].strip() and bool(text[: start.start()])


def _without_speaker(line: str, marks: list[str], named: bool) -> str:
    """``line`` without ``>>`` at its begin, and where speakers may be ``named`` without ``JOHN:``,
    ``- JOHN:`` or ``>> John:``."""
    if marks and (colon := _LEFT_COLON.match(line)):  # after [SPEAKER_00]
        return line[colon.end() :]
    chevrons = _CHEVRONS.match(line)
    start = chevrons.end() if chevrons else 0
    speaker = _SPEAKER.match(line, start) if named else None
    if speaker and len(speaker[1].split()) <= _NAME_WORDS and (start or _is_capital(speaker[1])):
        start = speaker.end()
    if start:
        marks.append(" ".join(line[:start].split()))
    return line[start:]


def _is_capital(name: str) -> bool:
    return name.isupper() and sum(map(str.isalpha, name)) > 1
