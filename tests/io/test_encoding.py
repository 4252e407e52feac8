"""Text files are UTF-8 in every locale: each place that reads or writes one names the encoding."""

import ast
from pathlib import Path

import pytest

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
