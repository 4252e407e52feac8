"""Notes of MusicXML scores, by partitura (the extra ``music``)."""

import re
import warnings
import zipfile
from bisect import bisect_right
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import Beats, Notes
from giblet.music.tempo_map import TempoMap, beat_of

_LARGEST_XML = 64 << 20  # bytes, unpacked
_SEMITONES, _STEPS = 12, 7  # per octave
_FORTE = 90  # velocity of dynamics of 100 % (MusicXML's element sound)
_NO_DYNAMICS = 64  # partitura's, where a part names none yet
_LOUDEST = 127
_QUARTERS = {"whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 1 / 2, "16th": 1 / 4}
_JUMPS = ("dacapo", "dalsegno")  # attributes of the element sound


def read_musicxml(path: str | Path) -> Notes:
    """Notes of a MusicXML score (.musicxml, .xml, or .mxl), of all its parts together.

    Pitches are those that sound: of transposing instruments too. Tied notes are one note; cue
    notes are rests. Times come from the tempos that the score names (its sound elements, else its
    metronome marks), 120 quarters a minute until then, with a warning where it names none;
    velocities from its dynamics, 64 until then. Beats and bars come from the first part's measures:
    an upbeat is the end of a bar. Grace notes begin with their main note and last 0 s.

    Repeats, da capo and dal segno are not unfolded: each measure is read once, and a warning
    counts them.
    Percussion without pitch is left out and counted.

    Raises
    ------
    GibletError
        If partitura is not installed, or cannot read the file; if it has no notes, or more than
        64 MiB of XML.
    OSError
        As the operating system raises it.
    """
    try:
        import partitura
    except ImportError:
        raise GibletError(
            f"{path}: MusicXML needs partitura (pip install 'giblet[music]'); MIDI does not"
        ) from None
    with Path(path).open("rb") as file:
        data = file.read(_LARGEST_XML + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            xml, n_jumps = _sounding(_unzipped(data))
            parts = partitura.load_musicxml(BytesIO(xml), quiet=True).parts
            return _notes_of_parts(parts, n_jumps)
    except GibletError as error:
        raise GibletError(f"{path}: {error}") from error
    except Exception as error:  # partitura raises any kind where a score is not as it expects
        reason = (str(error).splitlines() or [""])[0]
        what = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise GibletError(f"{path}: not readable as MusicXML ({what})") from error


def _unzipped(data: bytes) -> bytes:
    """The score in an .mxl; other bytes as they are."""
    from lxml import etree

    if not zipfile.is_zipfile(BytesIO(data)):
        return _checked_size(len(data), data)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        container = archive.getinfo("META-INF/container.xml")
        _checked_size(container.file_size, b"")
        root = etree.fromstring(archive.read(container), _parser())
        name = root.find(".//{*}rootfile").get("full-path")
        _checked_size(archive.getinfo(name).file_size, b"")
        return archive.read(name)


def _checked_size(size: int, data: bytes) -> bytes:
    if size > _LARGEST_XML:
        raise GibletError(f"more than {_LARGEST_XML >> 20} MiB of XML: too large for a score")
    return data


def _parser() -> Any:
    from lxml import etree

    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _sounding(xml: bytes) -> tuple[bytes, int]:
    """The score with what partitura does not read in a form that it reads, and the number of da
    capo and dal segno.

    Octaves of transposition become semitones, metronome marks tempos, cue notes rests.
    """
    from lxml import etree

    root = etree.fromstring(xml, _parser())
    for direction in root.iter("direction"):
        _add_tempo(direction)
    for cue in [note for note in root.iter("note") if note.find("cue") is not None]:
        _silence(cue)
    for transpose in root.iter("transpose"):
        octaves = int(transpose.findtext("octave-change") or 0)
        for name, size in (("diatonic", _STEPS), ("chromatic", _SEMITONES)):
            element = transpose.find(name)
            if element is None:
                element = etree.SubElement(transpose, name)
            element.text = str(int(element.text or 0) + size * octaves)
    jumps = [
        sum(name in sound.attrib for sound in part.iter("sound") for name in _JUMPS)
        for part in root.iter("part")
    ]
    return etree.tostring(root), max(jumps, default=0)


def _add_tempo(direction: Any) -> None:
    """Give a direction with a metronome mark the element sound, unless there is one."""
    from lxml import etree

    following = direction.getnext()
    sounds = [*direction.iter("sound"), *([] if following is None else following.iter("sound"))]
    if any("tempo" in sound.attrib for sound in sounds):
        return
    for mark in direction.iter("metronome"):
        units, numbers = mark.findall("beat-unit"), re.findall(r"\d+(?:\.\d+)?", _per_minute(mark))
        if len(units) != 1 or not numbers or (units[0].text or "").strip() not in _QUARTERS:
            continue  # a ratio of note values
        dotted = 2 - 0.5 ** len(mark.findall("beat-unit-dot"))
        beats = sum(map(float, numbers[:2])) / len(numbers[:2])  # 60 to 72
        tempo = beats * _QUARTERS[units[0].text.strip()] * dotted
        if tempo > 0:
            etree.SubElement(direction, "sound", tempo=f"{tempo:g}")
            return


def _per_minute(mark: Any) -> str:
    return mark.findtext("per-minute") or ""


def _silence(note: Any) -> None:
    """Make a note a rest; of a chord, take it out."""
    from lxml import etree

    if note.find("chord") is not None or note.find("grace") is not None:
        note.getparent().remove(note)
        return
    for kind in ("pitch", "unpitched"):
        if (sounding := note.find(kind)) is not None:
            note.replace(sounding, etree.Element("rest"))


def _notes_of_parts(parts: list[Any], n_jumps: int = 0) -> Notes:
    from partitura import score

    rows, tempos, n_repeats, n_unpitched = [], [], 0, 0
    for part in parts:
        if part.first_point is part.last_point:  # nothing in it lasts
            continue
        quarters = _quarter_map(part)
        for tempo in part.iter_all(score.Tempo):
            if tempo.bpm > 0:
                tempos.append((quarters(tempo.start.t), tempo.microseconds_per_quarter))
        shift = _changes(part, score.Transposition, lambda mark: mark.chromatic or 0)
        dynamics = _changes(part, score.Dynamic, lambda mark: round(_FORTE * mark.velocity / 100))
        n_unpitched += len(list(part.iter_all(score.UnpitchedNote)))
        n_repeats = max(n_repeats, len(list(part.iter_all(score.Repeat))))
        for note in part.notes_tied:
            start, stop = note.start.t, note.start.t + note.duration_tied
            pitch = note.midi_pitch + _last_before(shift, start, 0)
            velocity = _last_before(dynamics, start, _NO_DYNAMICS)
            rows.append((quarters(start), quarters(stop), pitch, min(max(velocity, 1), _LOUDEST)))
    if not rows:
        raise GibletError("no notes")
    begin, end, pitch, velocity = np.array(rows, np.float64).T
    clock = TempoMap.of_tempos(tempos, ticks_per_quarter=1)
    remarks = (
        (n_repeats + n_jumps, "repeats not unfolded: played once"),
        (n_unpitched, "unpitched left out"),
    )
    return Notes.from_unsorted(
        clock.seconds(begin),
        clock.seconds(end) - clock.seconds(begin),
        pitch.astype(np.int64),
        velocity.astype(np.int64),
        beats=_beats_of_measures(parts[0], clock),
        warnings=(
            *(f"{count} {remark}" for count, remark in remarks if count),
            *["no tempo named: 120 quarters a minute"] * (not tempos),
        ),
    )


def _quarter_map(part: Any) -> Any:
    """Quarters since the start of the part, of its timeline's units."""
    quarters, first = part.quarter_map, float(part.quarter_map(part.first_point.t))
    return lambda moment: float(quarters(moment)) - first


def _changes(part: Any, kind: type, value: Any) -> list[tuple[int, int]]:
    return [(mark.start.t, value(mark)) for mark in part.iter_all(kind)]


def _last_before(changes: list[tuple[int, int]], moment: int, default: int) -> int:
    place = bisect_right(changes, moment, key=itemgetter(0))
    return changes[place - 1][1] if place else default


def _beats_of_measures(part: Any, clock: TempoMap) -> Beats | None:
    """Beats of a part's measures; a measure that completes a short one continues its bar."""
    from partitura import score

    quarters = _quarter_map(part)
    ticks, in_bar, per_bar = [], [], []
    so_far, stop = None, 0.0  # beats of the bar so far; None before the first measure
    for measure in part.iter_all(score.Measure):
        start, stop = quarters(measure.start.t), quarters(measure.end.t)
        numerator, denominator, _ = part.time_signature_map(measure.start.t)
        length, beats = beat_of(int(numerator), int(denominator), ticks_per_quarter=1)
        count = int(np.ceil((stop - start) / length - 1e-6))
        if so_far is None and count < beats:  # an upbeat: counted back from the first full bar
            first, start = beats - count, stop - count * length
        else:
            first = so_far if so_far and so_far + count <= beats else 0
        ticks += [start + i * length for i in range(count)]
        in_bar += [(first + i) % beats for i in range(count)]
        per_bar += [beats] * count
        so_far = (first + count) % beats
    if not ticks:
        return None
    ticks, in_bar, per_bar = [*ticks, stop], [*in_bar, so_far or 0], [*per_bar, per_bar[-1]]
    return Beats(clock.seconds(np.array(ticks)), np.array(in_bar), np.array(per_bar))
