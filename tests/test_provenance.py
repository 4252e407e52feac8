"""A result is made anew when the code behind it changes, and only then."""

import pytest

from giblet import provenance
from giblet.cli import verb_functions
from giblet.provenance import source_fingerprint

VERBS = """
def encode(film):
    from giblet.codec import load
    return _prepared(load(film))


def _prepared(codec):
    import giblet.clock
    return codec


def report(page):
    from giblet.pages import page
    return page
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two verbs: encode uses codec, which uses store, and through a helper clock."""
    sources = {
        "verbs.py": VERBS,
        "codec.py": "def load(film):\n    from giblet import store\n    return store\n",
        "store.py": "import numpy\n",
        "clock.py": "",
        "pages/__init__.py": "",
        "pages/page.py": "from giblet.store import numpy\n",
        "pages/page.html.jinja": "<h1>",
        "unused.py": "",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    return tmp_path


def changed(package, name, old="", new="# edited\n"):
    """Verbs whose fingerprint changes with an edit."""
    before = {verb: source_fingerprint(verb) for verb in ("encode", "report")}
    source = (package / name).read_text()
    (package / name).write_text(source.replace(old, new, 1) if old else source + new)
    return {verb for verb in before if source_fingerprint(verb) != before[verb]}


@pytest.mark.parametrize(
    ("module", "verbs"),
    [
        ("codec.py", {"encode"}),
        ("store.py", {"encode", "report"}),
        ("clock.py", {"encode"}),
        ("pages/page.py", {"report"}),
        ("pages/page.html.jinja", {"report"}),
        ("unused.py", set()),
    ],
)
def test_a_module_counts_for_the_verbs_that_use_it(package, module, verbs):
    assert changed(package, module) == verbs


@pytest.mark.parametrize(
    ("line", "verbs"), [("load(film)", {"encode"}), ("return codec", {"encode"}), ("", set())]
)
def test_a_line_of_verbs_counts_for_its_own_verb(package, line, verbs):
    assert changed(package, "verbs.py", line, f"{line} or None" if line else "\n# edited") == verbs


def test_the_fingerprint_stays_as_long_as_the_code_does(package):
    assert source_fingerprint("encode") == source_fingerprint("encode")
    assert source_fingerprint("encode") != source_fingerprint("report")


def test_an_unknown_verb_is_named(package):
    with pytest.raises(ValueError, match="decode is not a verb; there are encode"):
        source_fingerprint("decode")


@pytest.mark.parametrize(
    ("verb", "uses", "does_not_use"),
    [
        ("extract_codes", "audio/codec.py", "training.py"),
        ("extract_codes", "audio/streaming.py", "report/page.py"),
        ("extract_video", "video.py", "audio/codec.py"),
        ("train", "models/decoder.py", "evaluation.py"),
        ("reconstruct", "evaluation.py", "report/page.py"),
        ("convolve_hrf", "alignment/hrf.py", "models/autoencoder.py"),
    ],
)
def test_giblets_own_verbs(verb, uses, does_not_use, monkeypatch):
    hashed = []
    closure = provenance._closure
    monkeypatch.setattr(provenance, "_closure", lambda m: hashed.append(closure(m)) or hashed[0])
    source_fingerprint(verb)
    names = {file.relative_to(provenance._PACKAGE).as_posix() for file in hashed[0]}
    assert uses in names
    assert does_not_use not in names


def test_every_verb_has_a_fingerprint():
    prints = {verb: source_fingerprint(verb) for verb in verb_functions()}
    assert len(set(prints.values())) == len(prints)
