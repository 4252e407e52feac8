"""What is said when, read from every format. Oracles: files written by hand or by other code."""

import csv
import inspect
import json
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings, strategies as st

from giblet.commands.film import embed_text
from giblet.config.config import parse_config
from giblet.config.sections import WordsConfig
from giblet.errors import GibletError
from giblet.film.annotations import read_annotations
from giblet.film.text import embed_words, hashed_words
from giblet.io.arrays import load_arrays

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 4
        intervals: size = 5
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sp"
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = "Good ""day"", señora "
        intervals [3]:
            xmin = 1.5
            xmax = 2
            text = ""
        intervals [4]:
            xmin = 2
            xmax = 2.25
            text = "1984"
        intervals [5]:
            xmin = 2.25
            xmax = 4
            text = "SIL"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
4
<exists>
2
"IntervalTier"
"words"
0
4
3
0
0.5
""
0.5
1.5
"Good ""day"", señora"
1.5
4
"and"
"TextTier"
"clicks"
0
4
1
1.25
"click"
"""
SRT = """1
00:00:00,500 --> 00:00:01,500
<i>Good "day",</i>
señora

2
00:00:02,000 --> 00:00:02,250
{\\an8}1984
"""
VTT = """WEBVTT - of a film

STYLE
::cue { color: red }

NOTE not said

first-cue
00:00.500 --> 00:01.500 line:0 position:20%
<v Ann>Good &quot;day&quot;, <i>señora</i>

NOTE
not said
either

00:00:02.000 --> 00:00:02.250
1984
"""
TABLE = 'onset,duration,text\n0.5,1,"Good ""day"", señora"\n2,0.25,1984\n'
TABS = 'start\toffset\ttext\n0.5\t1.5\t"Good ""day"", señora"\n2\t2.25\t1984\n'
WORDS = pd.DataFrame(
    {"onset": [0.5, 2.0], "duration": [1.0, 0.25], "text": ['Good "day", señora', "1984"]}
)
FILES = {
    "words.csv": TABLE,
    "words.tsv": TABS,
    "words.TextGrid": LONG,
    "words.srt": SRT,
    "words.vtt": VTT,
}
HEAD = "onset\tduration\ttext\n"


def written(folder, content, name="words.tsv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def in_a_workbook(folder, sheets, name="words.xlsx"):
    with pd.ExcelWriter(folder / name) as workbook:
        for sheet, table in sheets.items():
            table.to_excel(workbook, sheet_name=sheet, index=False)
    return folder / name


def refused(path, complaint, **options):
    with pytest.raises(GibletError, match=complaint) as caught:
        read_annotations(path, **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_the_same_words_are_read_from_every_format(tmp_path, name):
    table = read_annotations(written(tmp_path, FILES[name], name))
    pd.testing.assert_frame_equal(table, WORDS, check_dtype=False)
    assert table.attrs["warnings"] == []


def test_the_same_words_are_read_from_a_workbook(tmp_path):
    path = in_a_workbook(tmp_path, {"Sheet1": WORDS, "Sheet2": pd.DataFrame()})
    pd.testing.assert_frame_equal(read_annotations(path), WORDS, check_dtype=False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", FILES)
def test_byte_order_marks_and_windows_lines_change_nothing(tmp_path, name, encoding):
    content = FILES[name].replace("\n", "\r\n").encode(encoding)
    table = read_annotations(written(tmp_path, content, name))
    pd.testing.assert_frame_equal(table, WORDS, check_dtype=False)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.from_regex(r"\A[a-zé'\"]+\Z")), min_size=1))
def test_what_praat_writes_is_read_to_the_word(tmp_path, words):
    from praatio.data_classes.interval_tier import IntervalTier
    from praatio.data_classes.textgrid import Textgrid

    edges = np.cumsum([1, *(1 + gap for gap, _ in words)]) / 1000
    entries = [(*edges[i : i + 2], f"w{word}") for i, (_, word) in enumerate(words)]
    grid = Textgrid()
    grid.addTier(IntervalTier("words", entries, 0, edges[-1] + 1))
    for style in ("short_textgrid", "long_textgrid"):
        grid.save(str(tmp_path / "w.TextGrid"), style, includeBlankSpaces=True)
        table = read_annotations(tmp_path / "w.TextGrid")
        np.testing.assert_allclose(table["onset"], edges[:-1])
        np.testing.assert_allclose(table["onset"] + table["duration"], edges[1:])
        assert table["text"].tolist() == [word for *_, word in entries]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.from_regex(r"\A\w+\Z"))))
def test_what_pandas_writes_is_read_to_the_bit(tmp_path, rows):
    rows = [*rows, (0.0, 1.0, "NA")]
    table = pd.DataFrame(rows, columns=["onset", "duration", "text"])
    table = table.sort_values("onset", kind="stable", ignore_index=True)
    table.to_csv(tmp_path / "w.csv", index=False)
    table.to_csv(tmp_path / "w.tsv", index=False, sep="\t")
    table["text"] = [unicodedata.normalize("NFC", text) for text in table["text"]]
    for name in ("w.csv", "w.tsv"):
        read = read_annotations(tmp_path / name)
        pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=0, atol=1e-12)


def test_start_and_end_are_understood(tmp_path):
    path = written(tmp_path, " Start,End,Text,speaker\n0.5,1.5,Hello,A\n2,2.25,you,B\n", "w.csv")
    table = read_annotations(path)
    assert table["onset"].tolist() == [0.5, 2.0]
    assert table["duration"].tolist() == [1.0, 0.25]


def test_several_columns_of_text_are_joined_where_they_have_any(tmp_path):
    path = written(tmp_path, "onset\tend\tScene\tWho said\n0\t1\ta bear\tAnn\n1\t2\tn/a\tBen\n")
    table = read_annotations(path, ["who said", "scene"])
    assert table["text"].tolist() == ["Ann a bear", "Ben"]


def test_columns_can_be_named_and_times_be_in_milliseconds(tmp_path):
    path = written(tmp_path, "from\tto\tduration\ttext\n500\t1500\t9\ta\n2000\t2250\t9\tb\n")
    table = read_annotations(path, onset_column="From", end_column="to", unit_seconds=1e-3)
    np.testing.assert_allclose(table["onset"], [0.5, 2.0])
    np.testing.assert_allclose(table["duration"], [1.0, 0.25])
    refused(path, "needs columns by; it has from, to", onset_column="from", duration_column="by")


GENTLE = {"column_names": ["word", "aligned", "start", "end"], "text_columns": ["word"]}


def test_a_table_without_names_is_read_as_the_aligner_gentle_writes_it(tmp_path):
    """``Transcription.to_csv`` of gentle: csv.writer; None for words that it did not hear."""
    said = [("Well", "<unk>", 0.11, 0.35), ('"so', "so", 0.4, 0.62), ("mm,", None, None, None)]
    with open(tmp_path / "align.csv", "w", newline="") as file:
        csv.writer(file).writerows([*said, ("null", "null", 0.7, 1.0)])
    table = read_annotations(tmp_path / "align.csv", **GENTLE, leave_out_untimed=True)
    assert table["text"].tolist() == ["Well", '"so', "null"]
    assert table["onset"].tolist() == [0.11, 0.4, 0.7]
    np.testing.assert_allclose(table["duration"], [0.24, 0.22, 0.3])
    assert table.attrs["warnings"] == ["align.csv: 1 rows without time are left out"]
    refused(tmp_path / "align.csv", "1 rows have no time, the first is row 3", **GENTLE)
    refused(tmp_path / "align.csv", "needs columns onset, text, duration .*; it has Well")


def test_names_of_columns_must_fit_the_table(tmp_path):
    rows = pd.DataFrame([["a", "a", 0, 1], ["b", "b", 1, 2]])
    rows.to_excel(tmp_path / "w.xlsx", header=False, index=False)
    rows.to_csv(tmp_path / "w.csv", header=False, index=False)
    few = GENTLE | {"column_names": ["word", "start", "end"]}
    for name in ("w.csv", "w.xlsx"):
        assert read_annotations(tmp_path / name, **GENTLE)["text"].tolist() == ["a", "b"]
        refused(tmp_path / name, "has 4 columns, words.column_names names 3", **few)
    named = written(tmp_path, "word,aligned,start,end\na,a,0,1\n", "w.csv")
    refused(named, "row 1 has no onset in seconds .onset start", **GENTLE)


def test_numbered_trs_last_to_the_end_of_the_last(tmp_path):
    path = written(tmp_path, "start\tend\ttext\n1\t8\ta\n9\t9\tb\n")
    table = read_annotations(path, unit_seconds=1.5, first_unit=1)
    assert table["onset"].tolist() == [0.0, 12.0]
    assert table["duration"].tolist() == [12.0, 1.5]
    moments = read_annotations(path, unit_seconds=1.5)
    assert moments["onset"].tolist() == [1.5, 13.5]
    assert moments["duration"].tolist() == [10.5, 0.0]
    counted = written(tmp_path, HEAD + "0\t8\ta\n8\t1\tb\n")
    table = read_annotations(counted, unit_seconds=1.5, first_unit=0)
    assert table["onset"].tolist() == [0.0, 12.0]
    assert table["duration"].tolist() == [12.0, 1.5]
    refused(counted, "row 1 begins before the film", first_unit=2)
    half = written(tmp_path, "start\tend\ttext\n1.5\t8\ta\n")
    refused(half, r"row 1 is not in whole units \(onset 1.5\)", first_unit=1)


def test_of_several_sheets_or_tiers_one_is_chosen_by_name(tmp_path):
    path = in_a_workbook(tmp_path, {"old": WORDS.assign(text="x"), "new": WORDS})
    refused(path, "more than one sheet; words.sheet can be: old, new")
    refused(path, "no sheet knew; words.sheet can be: old, new", sheet="knew")
    assert read_annotations(path, sheet="new")["text"].tolist() == WORDS["text"].tolist()
    two = SHORT.replace(
        '"TextTier"\n"clicks"\n0\n4\n1\n1.25\n', '"IntervalTier"\n"x"\n0\n4\n1\n0\n4\n'
    )
    path = written(tmp_path, two, "w.TextGrid")
    words = read_annotations(path)
    assert len(words) == 2
    assert "reads tier words of words, x; words.tier chooses another" in words.attrs["warnings"][0]
    refused(path, "no tier y; words.tier can be: words, x", tier="y")
    assert read_annotations(path, tier="x")["text"].tolist() == ["click"]
    assert len(read_annotations(path, tier="words")) == 2


def test_points_of_a_textgrid_are_no_words_and_pauses_can_be_named(tmp_path):
    path = written(tmp_path, SHORT, "w.TextGrid")
    assert read_annotations(path)["text"].tolist() == ['Good "day", señora', "and"]
    assert len(read_annotations(path, pauses=["AND"])) == 1


def test_what_is_left_out_or_sorted_or_overlaps_is_said_and_counted(tmp_path, caplog):
    path = written(tmp_path, HEAD + "2\t1\tb\n1\t1\tn/a\n0\t2.5\ta\n0.5\t0.1\t c \n3\t1\td\n")
    table = read_annotations(path)
    assert table["text"].tolist() == ["a", "c", "b", "d"]
    said = [
        "words.tsv: 1 rows without text are left out",
        "words.tsv: 1 rows begin before the row above them; sorted",
        "words.tsv: 2 rows begin before an earlier one ends; all are kept",
    ]
    assert table.attrs["warnings"] == said
    assert not caplog.records  # who saves the words says it


def test_vectors_of_overlapping_rows_are_averaged(tmp_path):
    table = read_annotations(written(tmp_path, HEAD + "0\t1\tyes\n0\t1\tno\n"))
    features, spoken = embed_words(table, t_r=1.0, n_trs=2, duration=2.0)
    np.testing.assert_allclose(features[0], hashed_words(["yes", "no"]).mean(axis=0), atol=1e-6)
    assert spoken.tolist() == [True, False]


def test_rows_without_time_are_left_out_only_on_demand(tmp_path):
    path = written(tmp_path, HEAD + "0\t1\ta\nn/a\t\tb\n")
    refused(path, "1 rows have no time, the first is row 2. words.leave_out_untimed")
    table = read_annotations(path, leave_out_untimed=True)
    assert table["text"].tolist() == ["a"]
    assert table.attrs["warnings"] == ["words.tsv: 1 rows without time are left out"]
    half = written(tmp_path, HEAD + "0\t1\ta\nn/a\t1\tb\n")
    refused(half, "row 2 has no onset", leave_out_untimed=True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("onset\ttext\n0\thi\n", r"needs columns duration \(or end\); it has onset, text"),
        ("time\tduration\twords\n0\t1\thi\n", "needs columns onset, text; it has time"),
        (HEAD + "0\t1\ta\n1\t-1\tb\n", "row 2 ends before it begins"),
        ("start\tend\ttext\n3\t2\ta\n", "row 1 ends before it begins"),
        (HEAD + "0\t1\ta\nn/a\t1\tb\n", "row 2 has no onset"),
        (HEAD + "0\t1\ta\n00:75\t1\tb\n", "row 2 has no onset .*00:75"),
        (HEAD + "0\t1\ta\n00:00:01:12\t1\tb\n", "row 2 has no onset .*00:00:01:12"),
        (HEAD + "0\t1\ta\n1,500\t1\tb\n", "row 2 has no onset .*1,500"),
        (HEAD + "0\tinf\ta\n", "row 1 has no duration"),
        (HEAD + "-2\t1\ta\n", "row 1 begins before the film"),
        (HEAD + "0\t1\n", "no text in it"),
        (HEAD, "no text in it"),
        (HEAD + "0\t1\ta\tb\n", "not a readable table"),
        (HEAD + "0\t1\ta\n1\t1\ta\tb\n", "not a readable table .*line 3"),
        (HEAD + '0\t1\t"Well\n1\t1\tthen\n2\t1\tno"\n', "quotation mark .*Well"),
        (HEAD + '0\t1\t"Well\n1\t1\tthen\n', "not a readable table"),
        ("onset\tduration\ttext\tText\n0\t1\ta\tb\n", "two columns text"),
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ((HEAD + "0\t1\tseñora\n").encode("latin-1"), "line 2 is not UTF-8"),
        ((HEAD + "0\t1\ta\0\n").encode(), "not text in UTF-8"),
    ],
)
def test_a_wrong_table_gets_one_clear_line(tmp_path, content, complaint):
    refused(written(tmp_path, content), complaint)


def test_a_table_of_too_many_columns_is_refused(tmp_path):
    for ending, separator in (("tsv", "\t"), ("csv", ",")):
        rows = [["onset", "duration", "text"], ["0", "1", "yes"]]
        wide = [separator.join([*row, *["0"] * 4998]) for row in rows]
        said = "has 5,001 columns; a transcript has a few"
        refused(written(tmp_path, "\n".join(wide), f"w.{ending}"), said)


def test_a_broken_workbook_gets_one_clear_line(tmp_path):
    whole = in_a_workbook(tmp_path, {"Sheet1": WORDS}).read_bytes()
    for content in (b"no workbook", whole[: len(whole) // 2]):
        refused(written(tmp_path, content, "w.xlsx"), "not a readable workbook")
    refused(written(tmp_path, b"", "w.xlsx"), "the file is empty")
    refused(in_a_workbook(tmp_path, {"Sheet1": pd.DataFrame()}), "no sheet")
    timed = WORDS.assign(onset=pd.to_datetime(["2024-01-01 00:00:01", "2024-01-01 00:00:02"]))
    refused(in_a_workbook(tmp_path, {"Sheet1": timed}), "row 1 has no onset in seconds .*2024")


NO_TIER = LONG[: LONG.index("tiers?")] + "tiers? <exists>\nsize = 0\nitem []:\n"
NO_INTERVAL = LONG[: LONG.index("intervals: size")] + "intervals: size = 0\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (LONG[: LONG.index("intervals [5]")], "of tier words stop at 2.25 s, not at its end"),
        (SHORT[: SHORT.index("1.5\n4\n")], "of tier words stop at 1.50 s, not at its end"),
        (LONG[: LONG.index("name")], "not a readable TextGrid"),
        (NO_INTERVAL, "tier words has no intervals"),
        (NO_TIER, "has no tier"),
        (SHORT.replace('"IntervalTier"', '"TextTier"'), "has no tier; words.tier can be: nothing"),
        (SHORT.replace("TextTier", "IntervalTier").replace("clicks", "words"), "two tiers"),
        (LONG.replace("Good", "").replace('""day"", señora', "").replace("1984", ""), "no text"),
        (LONG.replace("xmin = 0.5", "xmin = -0.5"), "before 0 .xmin = -0.5"),
        (LONG.replace("xmax = 1.5", "xmax = 0.25"), "row 2 ends before it begins"),
        (LONG.replace("xmax = 1.5", "xmax = soon"), "not a readable TextGrid"),
        ("hello", "not a readable TextGrid"),
        # found by tests/fuzz/guided.py: a tier of no length without intervals
        (NO_INTERVAL.replace("xmax = 4", "xmax = 0"), "there is no text in it"),
        ("", "the file is empty"),
        (LONG.encode("latin-1"), "line 22 is not UTF-8"),
    ],
)
def test_a_wrong_textgrid_gets_one_clear_line(tmp_path, content, complaint):
    refused(written(tmp_path, content, "w.TextGrid"), complaint)


@pytest.mark.parametrize(
    ("content", "name", "complaint"),
    [
        (SRT.replace("-->", "->", 1), "w.srt", "line 2 should be the times"),
        (SRT.replace("00:00:02,000", "-00:00:02,000"), "w.srt", "line 7 should be the times"),
        (SRT.replace("01,500", "01,5x0"), "w.srt", "line 2 should be the times"),
        (SRT.replace("00:00:01,500", "00:00:00,100"), "w.srt", "row 1 ends before it begins"),
        ("good day", "w.srt", "not a readable .srt file"),
        ("", "w.srt", "the file is empty"),
        (SRT.encode("latin-1"), "w.srt", "line 4 is not UTF-8"),
        (SRT.encode("latin-1"), "w.srt", r'If it says "señora": iconv -f WINDOWS-1252 -t UTF-8'),
        (VTT.removeprefix("WEBVTT"), "w.vtt", "not a readable .vtt file"),
        (VTT.replace("00:01.500", "00:01.x"), "w.vtt", "line 9 should be the times"),
        ("WEBVTT\n", "w.vtt", "no text in it"),
        (VTT.replace("00:01.500", "9999999999:00:01.500"), "w.vtt", "line 9 should be the times"),
        (SRT.replace("00:00:01,500", "1" * 5000 + ":00:01,500"), "w.srt", "line 2 should be"),
    ],
)
def test_wrong_subtitles_get_one_clear_line(tmp_path, content, name, complaint):
    refused(written(tmp_path, content, name), complaint)


def test_subtitles_that_are_left_out_are_counted(tmp_path):
    numberless = (
        SRT + "\n00:00:03,000 --> 00:00:04,000\nlost\n\n4\n00:00:05,000 --> 00:00:06,000\n\n"
    )
    table = read_annotations(written(tmp_path, numberless, "w.srt"))
    assert table["text"].tolist() == [*WORDS["text"], "lost"]
    assert table.attrs["warnings"] == ["w.srt: 1 subtitles without text or number are left out"]


def test_subtitles_need_no_empty_line_between_them_and_may_have_one_before(tmp_path):
    table = read_annotations(written(tmp_path, "\n" + SRT.replace("\n\n", "\n"), "w.srt"))
    pd.testing.assert_frame_equal(table, WORDS, check_dtype=False)


def test_what_is_no_file_of_words_is_refused(tmp_path):
    refused(tmp_path / "words.doc", ".srt, .vtt, .json, .ctm or .stm, not .doc")
    refused(tmp_path / "words", "not without ending")
    for name in FILES:
        refused(tmp_path / name, "no such file")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "is a folder")


def test_every_setting_reaches_the_reader_with_the_same_default():
    parameters = inspect.signature(read_annotations).parameters
    defaults = {name: p.default for name, p in parameters.items() if name != "path"}
    lists = {name: list(v) for name, v in defaults.items() if isinstance(v, tuple)}
    assert WordsConfig().model_dump() == defaults | lists


def test_the_verb_reads_as_the_settings_say_and_records_the_warnings(tmp_path):
    soundfile.write(tmp_path / "film.wav", np.zeros(4 * 8000), 8000)
    path = written(tmp_path, "start\tend\tsaid\n2\t3\tyes\n0\t0\tno\n0\t0\tnever\n")
    words = {"text_columns": ["said"], "first_unit": 0}
    config = parse_config({"t_r": 1.0, "words": words})
    embed_text(path, tmp_path / "text.nc", config, film=tmp_path / "film.wav")
    arrays = load_arrays(tmp_path / "text.nc")
    assert arrays["spoken"].values.tolist() == [True, False, True, True]
    assert not arrays["text"].values[1].any()
    np.testing.assert_array_equal(arrays["text"].values[2], hashed_words(["yes"])[0])
    unsorted, overlapping = json.loads(arrays.attrs["warnings"])
    assert "1 rows begin before the row above" in unsorted
    assert "1 rows begin before an earlier one ends" in overlapping


def test_the_verb_refuses_words_past_the_end_of_the_film(tmp_path):
    soundfile.write(tmp_path / "film.wav", np.zeros(4 * 8000), 8000)
    path = written(tmp_path, HEAD + "0\t1\ta\n4.5\t0.2\tlate\n")
    with pytest.raises(GibletError, match=r"'late', 4\.50 s .* end of the film \(4\.00 s.*0\.001"):
        embed_text(path, tmp_path / "text.nc", parse_config({"t_r": 1.0}), tmp_path / "film.wav")
    assert not (tmp_path / "text.nc").exists()


def test_the_verb_says_which_words_no_tr_has(tmp_path, caplog):
    soundfile.write(tmp_path / "film.wav", np.sin(np.arange(4.5 * 8000)), 8000)
    path = written(tmp_path, HEAD + "0\t1\ta\n4.2\t0.3\tlost\n4.3\t0.5\tlong\n")
    embed_text(path, tmp_path / "text.nc", parse_config({"t_r": 1.0}), tmp_path / "film.wav")
    arrays = load_arrays(tmp_path / "text.nc")
    assert arrays["n_words"].sum() == 1  # "a" alone
    assert json.loads(arrays.attrs["warnings"]) == [
        "words.tsv: 1 rows begin before an earlier one ends; all are kept",
        "words: 1 rows end after the film (4.50 s)",
        "words: 2 rows begin after the last whole TR (4.00 s) and are left out",
    ]
    assert caplog.messages == json.loads(arrays.attrs["warnings"])


def test_the_textgrid_of_a_real_chapter(shared):
    (path,) = (shared / "fmri" / "alice").rglob("*.TextGrid")
    labels = [label.strip() for label in re.findall(r'text = "(.*)"', path.read_text())]
    words = [label for label in labels if label not in ("", "sp")]
    table = read_annotations(path)
    assert table["text"].tolist() == words
    assert len(words) == 2127
    assert table["text"][:4].tolist() == ["Alice", "was", "beginning", "to"]
    assert table["onset"].iloc[0] == 20.05891632653599
    assert (table["onset"] + table["duration"]).iloc[-1] == pytest.approx(743.3351068027995)
    assert table.attrs["warnings"] == []


@pytest.mark.filterwarnings("ignore:Unknown extension")  # openpyxl, of what Excel added
def test_the_workbook_of_a_real_film(shared):
    import openpyxl

    (path,) = (shared / "annotations").glob("*.xlsx")
    workbook = openpyxl.load_workbook(path, read_only=True)
    _, *rows = workbook.active.iter_rows(max_col=7, values_only=True)
    rows = [row for row in rows if row[3] is not None]
    table = read_annotations(
        path,
        ["Scene Details - A Level"],
        onset_column="Start Time (TRs, 1.5s)",
        end_column="End Time (TRs, 1.5s)",
        unit_seconds=1.5,
        first_unit=1,
        leave_out_untimed=True,
    )
    assert len(table) == len(rows) == 998
    assert table["duration"].sum() / 1.5 == sum(row[4] - row[3] + 1 for row in rows)
    assert (table["onset"] + table["duration"]).iloc[-1] == 1976 * 1.5
    assert table["text"].tolist() == [row[6].strip() for row in rows]
    first = np.array([row[1] for row in rows if row[3] <= 946])  # the part shown first: its seconds
    assert np.abs(table["onset"][: len(first)] - first).max() <= 1.5
    n_overlaps = sum(b[3] <= a[4] for a, b in pairwise(rows))
    said = f"{n_overlaps} rows begin before an earlier one ends"
    assert any(said in line for line in table.attrs["warnings"])
