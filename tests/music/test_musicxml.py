import sys
import zipfile

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.musicxml import read_musicxml
from giblet.music.tokens import tokenize

pytest.importorskip("partitura")


def note(step="C", octave=4, duration=2, more=""):
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{duration}</duration><voice>1</voice>{more}</note>"


def sound(**attributes):
    """A direction that names a tempo or dynamics."""
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return (
        f"<direction><direction-type><words>a</words></direction-type><sound {words}/></direction>"
    )


def attributes(beats=4, unit=4, more="", divisions=2):
    time = f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>"
    return f"<attributes><divisions>{divisions}</divisions>{time}{more}</attributes>"


def score(*parts):
    """MusicXML of parts, each a list of measures' contents."""
    names = "".join(
        f'<score-part id="P{i}"><part-name>{i}</part-name></score-part>' for i in range(len(parts))
    )
    body = "".join(
        f'<part id="P{i}">'
        + "".join(f'<measure number="{n + 1}">{m}</measure>' for n, m in enumerate(measures))
        + "</part>"
        for i, measures in enumerate(parts)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0">'
        f"<part-list>{names}</part-list>{body}</score-partwise>"
    )


@pytest.fixture
def read(tmp_path):
    def read_parts(*parts):
        path = tmp_path / "score.musicxml"
        path.write_text(score(*parts))
        return read_musicxml(path)

    return read_parts


def rows_of(notes):
    columns = (notes.onset.round(9), notes.duration.round(9), notes.pitch, notes.velocity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_times_come_from_tempos_and_velocities_from_dynamics(read):
    first = attributes(2, 4) + note() + sound(tempo=60) + sound(dynamics=100) + note("E")
    second = sound(dynamics=200) + note("G", duration=4)
    assert rows_of(read([first, second])) == [
        (0, 0.5, 60, 64),
        (0.5, 1, 64, 90),
        (1.5, 2, 67, 127),
    ]


def test_a_tempo_counts_for_all_parts(read):
    upper = [attributes(2, 4) + note(duration=4), note("D", duration=4)]
    lower = [attributes(2, 4) + note("C", 3, 2) + sound(tempo=30) + note("D", 3, 2)]
    assert rows_of(read(upper, [*lower, note("E", 3, 4)])) == [
        (0, 0.5, 48, 64),
        (0, 2.5, 60, 64),
        (0.5, 2, 50, 64),
        (2.5, 4, 52, 64),
        (2.5, 4, 62, 64),
    ]


def test_tied_notes_are_one_and_grace_notes_last_0_s(read):
    start = note(duration=4, more='<tie type="start"/>')
    stop = note(duration=2, more='<tie type="stop"/>')
    grace = (
        note("B", 3, 2).replace("<note>", "<note><grace/>").replace("<duration>2</duration>", "")
    )
    notes = read([attributes(2, 4) + start, stop + grace + note("E")])
    assert rows_of(notes) == [(0, 1.5, 60, 64), (1.5, 0, 59, 64), (1.5, 0.5, 64, 64)]
    assert len(tokenize(notes)) > 0


@pytest.mark.parametrize(
    ("inside", "pitch"),
    [
        ("<diatonic>-1</diatonic><chromatic>-2</chromatic>", 58),  # clarinet in B flat
        ("<chromatic>-2</chromatic><octave-change>-1</octave-change>", 46),  # bass clarinet
        ("<octave-change>-1</octave-change>", 48),  # double bass
        ("<chromatic>3</chromatic>", 63),
    ],
)
def test_pitches_are_those_that_sound(read, inside, pitch):
    notes = read([attributes(4, 4, f"<transpose>{inside}</transpose>") + note(duration=8)])
    assert notes.pitch.tolist() == [pitch]


def test_beats_come_from_measures(read):
    compound = attributes(6, 8) + note(duration=6)
    notes = read([attributes(3, 4) + note(duration=6), compound, compound])
    assert notes.beats.seconds.tolist() == [0, 0.5, 1, 1.5, 2.25, 3, 3.75, 4.5]
    assert notes.beats.in_bar.tolist() == [0, 1, 2, 0, 1, 0, 1, 0]
    assert notes.beats.per_bar.tolist() == [3, 3, 3, 2, 2, 2, 2, 2]


def test_an_upbeat_is_the_end_of_a_bar_and_split_bars_are_one(read):
    measures = [
        attributes(3, 4) + note(duration=1),
        note(duration=6),
        note(duration=4),
        note(duration=2),
        note(duration=6),
    ]
    notes = read(measures)
    assert notes.onset.tolist() == [0, 0.25, 1.75, 2.75, 3.25]
    assert notes.beats.seconds.tolist() == [-0.25, *(0.25 + 0.5 * np.arange(10))]
    assert notes.beats.in_bar.tolist() == [2, *[0, 1, 2] * 3, 0]
    np.testing.assert_allclose(notes.beats.phases(notes.onset)[:2, 1], [2.5 / 3, 0])


def test_repeats_are_not_unfolded_but_counted(read):
    begin = '<barline location="left"><repeat direction="forward"/></barline>'
    end = '<barline location="right"><repeat direction="backward"/></barline>'
    measure = attributes() + begin + sound(tempo=120) + note(duration=8) + end
    notes = read([measure, note(duration=8)])
    assert notes.onset.tolist() == [0, 2]
    assert notes.warnings == ("1 repeats not unfolded: played once",)


def test_percussion_without_pitch_is_left_out_and_counted(read):
    drum = "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave>"
    drum += "</unpitched><duration>4</duration><voice>1</voice></note>"
    notes = read([attributes() + sound(tempo=120) + drum + note(duration=4)])
    assert rows_of(notes) == [(1, 1, 60, 64)]
    assert notes.warnings == ("1 unpitched left out",)


def packed(path, text, name="a/score.xml", container=True):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if container:
            archive.writestr(
                "META-INF/container.xml",
                f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>',
            )
        archive.writestr("a/score.xml", text)
    return path


def test_a_packed_score_is_that_score(read, tmp_path):
    measures = [attributes() + note(duration=8)]
    path = packed(tmp_path / "score.mxl", score(measures))
    assert rows_of(read_musicxml(path)) == rows_of(read(measures))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("do re mi", "not readable as MusicXML"),
        ("", "not readable as MusicXML"),
        ("<html/>", "not readable as MusicXML"),
        (score([attributes()]), "no notes"),
        (score(), "no notes"),
        ("<score-timewise/>", "score-partwise"),
        (score([attributes() + note(duration=8)])[:-60], "not readable as MusicXML"),
        (score([attributes() + note("X")]), "not readable as MusicXML"),
    ],
)
def test_odd_files_are_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "score.xml"
    path.write_text(text)
    with pytest.raises(GibletError) as refusal:
        read_musicxml(path)
    line = str(refusal.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("options", [{"container": False}, {"name": "missing.xml"}])
def test_an_odd_archive_is_refused_in_one_line(options, tmp_path):
    path = packed(tmp_path / "a.mxl", score([attributes() + note()]), **options)
    with pytest.raises(GibletError, match="not readable as MusicXML"):
        read_musicxml(path)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("giblet.music.musicxml._LARGEST_XML", 1 << 20)
    path = packed(tmp_path / "a.mxl", " " * (2 << 20))
    with pytest.raises(GibletError, match="more than 1 MiB of XML"):
        read_musicxml(path)


def test_entities_are_not_expanded(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("8")
    text = score([attributes() + note(duration="&x;")])
    text = text.replace("?>", f'?><!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>', 1)
    path = tmp_path / "score.xml"
    path.write_text(text)
    with pytest.raises(GibletError):
        read_musicxml(path)


def test_a_missing_partitura_is_said_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "partitura", None)
    with pytest.raises(GibletError, match=r"pip install 'giblet\[music\]'"):
        read_musicxml(tmp_path / "score.xml")


def test_a_missing_file_is_the_operating_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_musicxml(tmp_path / "no.xml")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bwv16.6", "bwv282", "bwv29.8", "bwv174.5"])
def test_chorales_are_read_as_by_music21(name):
    """They name no tempo: an upbeat, ties, repeats, and trumpets, horns and violas transposed."""
    music21 = pytest.importorskip("music21")
    notes = read_musicxml(music21.corpus.getWork(f"bach/{name}"))
    theirs = music21.corpus.parse(f"bach/{name}").toSoundingPitch().stripTies()
    expected = sorted(
        (round(0.5 * float(note.offset), 6), round(0.5 * float(note.quarterLength), 6), pitch.midi)
        for part in theirs.parts
        for note in part.flatten().notes
        for pitch in note.pitches
    )
    assert sorted(row[:3] for row in rows_of(notes)) == expected


def metronome(unit, per_minute, dots=0, more=""):
    """A direction that shows a tempo."""
    marks = f"<beat-unit>{unit}</beat-unit>" + "<beat-unit-dot/>" * dots
    mark = f"<metronome>{marks}<per-minute>{per_minute}</per-minute></metronome>"
    return f"<direction><direction-type>{mark}</direction-type>{more}</direction>"


@pytest.mark.parametrize(
    ("unit", "per_minute", "dots", "quarters"),
    [
        ("quarter", "60", 0, 60),
        ("half", "60", 0, 120),
        ("quarter", "60", 1, 90),
        ("eighth", "100.5", 0, 50.25),
        ("quarter", "ca. 72", 0, 72),
        ("quarter", "60-80", 0, 70),
    ],
)
def test_a_metronome_mark_is_a_tempo(read, unit, per_minute, dots, quarters):
    """Programs that write no sound element, such as those that read printed scores."""
    notes = read([attributes() + metronome(unit, per_minute, dots) + note() + note("D")])
    np.testing.assert_allclose(notes.onset, [0, 60 / quarters], rtol=1e-5)
    assert notes.warnings == ()


def test_the_tempo_that_sounds_goes_before_the_mark(read):
    """Beside it, in it, or in another measure."""
    inside = metronome("quarter", 60, more='<sound tempo="80"/>')
    beside = metronome("quarter", 60) + '<sound tempo="80"/>'
    for mark in (inside, beside):
        assert read([attributes() + mark + note() + note()]).onset[1] == pytest.approx(0.75)
    later = read([attributes() + metronome("half", 30) + note() + sound(tempo=120) + note() * 2])
    np.testing.assert_allclose(later.onset, [0, 1, 1.5])


def test_a_score_without_a_tempo_says_so(read):
    assert read([attributes() + note()]).warnings == ("no tempo named: 120 quarters a minute",)


def test_cue_notes_are_silent(read):
    cue, chord = note("A").replace("<note>", "<note><cue/>"), "<note><cue/><chord/>"
    third = note("F", 5).replace("<note>", chord)
    notes = read([attributes() + sound(tempo=120) + cue + third + note("D", duration=6)])
    assert rows_of(notes) == [(0.5, 1.5, 62, 64)]


@pytest.mark.parametrize("jump", ["dacapo", "dalsegno"])
def test_jumps_are_counted_as_repeats(read, jump):
    measures = [attributes() + sound(tempo=60) + note(duration=8), note() + sound(**{jump: "yes"})]
    assert read(measures, measures).warnings == ("1 repeats not unfolded: played once",)
