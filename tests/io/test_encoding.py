"""Text files are UTF-8 in every locale: each place that reads or writes one names the encoding."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from giblet.errors import missing_path

PACKAGE = Path(__file__).parents[2] / "giblet"
POSITION = {"read_text": 0, "write_text": 1, "open": 3}  # of the argument "encoding"


def unnamed_encodings(tree):
    """Calls that read or write text in the encoding of the locale."""
    calls = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        named = any(keyword.arg == "encoding" for keyword in node.keywords)
        if name not in POSITION or named or len(node.args) > POSITION[name]:
            continue
        if name == "open":
            if isinstance(node.func, ast.Attribute):  # av.open, os.open
                continue
            if "b" in "".join(a.value for a in node.args[1:2] if isinstance(a, ast.Constant)):
                continue
        calls.append(ast.unparse(node))
    return calls


def test_no_encoding_is_that_of_the_locale():
    files = {file: ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}
    assert not {file: calls for file, tree in files.items() if (calls := unnamed_encodings(tree))}


@pytest.mark.parametrize(
    "line", ["path.read_text()", "path.write_text(text)", "open(path)", "open(path, 'w')"]
)
def test_an_unnamed_encoding_is_seen(line):
    assert unnamed_encodings(ast.parse(line)) == [line]


@pytest.mark.parametrize(
    "line", ["path.read_text('utf-8')", "path.write_text(t, encoding='utf-8')", "open(p, 'rb')"]
)
def test_a_named_one_is_left_alone(line):
    assert not unnamed_encodings(ast.parse(line))


@pytest.mark.parametrize("verb", ["extract_mel --film={} --mel=x.nc --settings={{}}", "init {}"])
@pytest.mark.parametrize("film", ["Früh Café.wav", "gone Łódź.wav", "Fr\udcfch.wav"])
def test_names_under_another_locale_than_utf_8(verb, film, tmp_path):
    """Python takes them for other names there than in UTF-8, and configs are UTF-8."""
    if not film.startswith("gone"):
        (tmp_path / film).write_bytes(b"RIFF")
    command = [sys.executable, "-m", "giblet", *(word.format(film) for word in verb.split(" "))]
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | ascii_alone, capture_output=True, text=True
    )
    assert "encoding is ascii, not UTF-8: set PYTHONUTF8=1, and run again" in done.stderr
    assert done.returncode == 1
    assert not list(tmp_path.glob("*.yaml"))


def test_snakemake_names_the_locale_too(monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "iso8859-1")
    assert missing_path("Früh.wav").startswith("Früh.wav: the locale's encoding is iso8859-1, not")
    assert missing_path("early.wav").startswith("early.wav: no such file")
