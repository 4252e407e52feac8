"""Marks of sounds, music, noise and speakers in a transcript: nobody says them."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

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
_COLON = re.compile(r":(?=\s|\Z)")
_LEFT_COLON = re.compile(r"\s*:(?=\s|$)")
_NAME_WORDS = 3  # of a speaker, at most
_LOWER_BEGIN = re.compile(r"\b(Mc|Mac|Di|De|La|O’|O')(?=[A-Z])")  # McGEE
_FEWEST_LOWER = 0.1  # of the letters; a transcript with fewer is in capitals
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


def speakers_in(texts: Iterable[str], *, in_subtitles: bool = False) -> frozenset[str]:
    """Names with which speakers are marked in the texts of one transcript.

    A name is at most three words before a colon at the begin of a line:

    - in capitals, where what follows does not go on in lower case (``FBI: open`` is text); in a
      transcript that is all in capitals, where the name comes twice;
    - after ``>>``, words that each begin with a capital;
    - in subtitles of which most begin with a name, such as those of meetings, all such names.

    >>> sorted(speakers_in(["JOHN: Who's there?", "FBI: open up", "McGEE:", ">> Ann Lee: Me"]))
    ['Ann Lee', 'JOHN', 'McGEE']
    >>> sorted(speakers_in(["THIS IS WHY: NO", "ANN: NO", "ANN: SO IT IS"]))
    ['ANN']
    """
    texts = list(texts)
    marked = [text for text in texts if _COLON.search(text)]
    names: set[str] = set()
    capital: Counter[str] = Counter()
    titled: set[str] = set()
    n_titled = 0
    for text in marked:
        lines = _ROUND.sub(" ", _SOUNDS.sub(" ", text)).split("\n")
        named = [each for line in lines if (each := _name(line))]
        for name, after_chevrons, rest in named:
            if after_chevrons and _is_titled(name):
                names.add(name)
            elif _is_capital(name):
                capital[name] += not rest[:1].islower()
            elif _is_titled(name):
                titled.add(name)
        n_titled += bool(named) and _is_titled(named[0][0])
    least = 2 if capital and _is_in_capitals(texts) else 1
    names |= {name for name, n in capital.items() if n >= least}
    if in_subtitles and 2 * n_titled > sum(bool(text.strip()) for text in texts):
        names |= titled
    return frozenset(names)


def _name(line: str) -> tuple[str, bool, str] | None:
    """Of a line that begins with a name and a colon: name, whether ``>>`` precedes, rest."""
    chevrons = _CHEVRONS.match(line)
    mark = _SPEAKER.match(line, chevrons.end() if chevrons else 0)
    if mark is None or len(mark[1].split()) > _NAME_WORDS:
        return None
    return mark[1], chevrons is not None, line[mark.end() :].strip()


def spoken_text(
    text: str,
    *,
    in_subtitles: bool = False,
    word_by_word: bool = False,
    speakers: Collection[str] | None = None,
) -> tuple[str, list[str]]:
    """``text`` without what nobody says, and the marks that were left out.

    Sounds and noise in square or curly brackets, music between notes, noise labels of forced
    aligners, and ``speakers`` before a colon at the begin of a line; None: those of `speakers_in`
    this text. Round brackets are a mark where they hold the whole text, and anywhere in subtitles.
    In transcripts ``word_by_word`` round brackets and names before a colon are text: such a row is
    a word.

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
    if word_by_word:
        speakers = ()
    elif speakers is None:
        speakers = speakers_in([text])
    marks: list[str] = []

    def left_out(mark: re.Match) -> str:
        marks.append(" ".join(mark[0].split()))
        return " "

    text = _SOUNDS.sub(left_out, text)
    if in_subtitles or (not word_by_word and _ROUND.fullmatch(text.strip())):
        text = _ROUND.sub(left_out, text)
    lines = [_without_speaker(line, marks, speakers) for line in text.split("\n")]
    if not marks:
        return text, []
    return "\n".join(" ".join(line.split()) for line in lines if line.strip()), marks


def _is_end_of_song(text: str) -> bool:
    """Whether the only note is at the end: the song began in an earlier subtitle."""
    start = re.search(_MUSIC, text)
    return start is not None and not text[start.end() :].strip() and bool(text[: start.start()])


def _without_speaker(line: str, marks: list[str], speakers: Collection[str]) -> str:
    """``line`` without ``>>`` at its begin, and without ``JOHN:``, ``- JOHN:`` or ``>> John:``."""
    if marks and (colon := _LEFT_COLON.match(line)):  # after [SPEAKER_00]
        return line[colon.end() :]
    chevrons = _CHEVRONS.match(line)
    start = chevrons.end() if chevrons else 0
    speaker = _SPEAKER.match(line, start)
    if speaker and speaker[1] in speakers:
        start = speaker.end()
    if start:
        marks.append(" ".join(line[:start].split()))
    return line[start:]


def _is_capital(name: str) -> bool:
    plain = _LOWER_BEGIN.sub("", name)
    return plain.isupper() and sum(map(str.isalpha, plain)) > 1


def _is_titled(name: str) -> bool:
    return not any(word[0].islower() for word in name.split())


def _is_in_capitals(texts: Iterable[str]) -> bool:
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    return sum(map(str.islower, letters)) < _FEWEST_LOWER * len(letters)
