"""A result is made anew when code that it uses changes, and only then."""

import inspect
import sys
from functools import partial

import pytest

from giblet.commands import fingerprint
from giblet.commands.cli import verb_functions
from giblet.commands.fingerprint import reached_definitions, source_fingerprint
from giblet.demo import annotations_path, film_path

SILENT = (*fingerprint.WITHOUT_NUMBERS, "moved.py")
SOURCES = {
    "commands/film.py": '''
from giblet.config.config import Config


def encode(film, config: Config) -> None:
    """What it does."""
    from giblet.codec import load
    return _prepared(load(film))


def _prepared(codec):
    import giblet.timing as clock
    return clock.seconds(codec)


def report(page):
    from giblet.pages import page
    from giblet.log import tell
    tell("begins")
    return page.render(page)
''',
    "codec.py": '''
from giblet.store import READERS, Kind

GAIN = 2  # of encode
UNUSED = 1


def load(film: int) -> Kind:
    """Read."""
    # a comment
    return GAIN * READERS["film"](film)


def _again(film):
    return film * 4


READERS.update(again=_again)
''',
    "store.py": """
import numpy


class Kind:
    pass


def read(film):
    return film, SNR


def read_page(page):
    return page, SNR


READERS = {}
READERS["film"] = read


class Metric:
    pass


SNR = Metric(name="snr", label="SNR", decimals=2)
""",
    "timing.py": "STEP = 1.5\n\n\ndef seconds(n):\n    return n * STEP\n",
    "pages/__init__.py": "",
    "pages/page.py": """
from giblet.store import read_page


def render(page):
    return read_page(page)
""",
    "pages/page.html.jinja": "<h1>",
    "log.py": "def tell(said):\n    print(said)\n",
    "config/config.py": """
class Config:
    t_r: float = 1.5

    @property
    def path(self):
        return "encodec"
""",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two commands: encode uses codec, store and timing; report uses pages."""
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    """What was read of the sources."""
    for function in vars(fingerprint).values():
        getattr(function, "cache_clear", lambda: None)()


def prints():
    forget()
    return {verb: source_fingerprint(verb) for verb in ("encode", "report")}


def changed(package, name, old, new):
    """Commands whose fingerprint changes with an edit."""
    before = prints()
    source = (package / name).read_text()
    assert old in source
    (package / name).write_text(source.replace(old, new, 1))
    return {verb for verb, print_ in prints().items() if print_ != before[verb]}


@pytest.mark.parametrize(
    ("name", "old", "new", "verbs"),
    [
        ("codec.py", "GAIN = 2", "GAIN = 3", {"encode"}),
        ("codec.py", "UNUSED = 1", "UNUSED = 2", set()),
        ("codec.py", "film * 4", "film * 5", {"encode"}),  # reached by a statement of the module
        ("timing.py", "STEP = 1.5", "STEP = 2.0", {"encode"}),
        ("store.py", "return film", "return film + 1", {"encode"}),  # reached through a table
        ("store.py", "return page", "return page + 1", {"report"}),
        ("commands/film.py", "load(film)", "load(film + 1)", {"encode"}),
        ("commands/film.py", "clock.seconds(codec)", "clock.seconds(2)", {"encode"}),
        ("pages/page.html.jinja", "<h1>", "<h2>", {"report"}),
        ("store.py", 'label="SNR"', 'label="Signal to noise"', {"report"}),
        ("store.py", "decimals=2", "decimals=3", {"encode", "report"}),
        ("config/config.py", '"encodec"', '"mel"', {"encode", "report"}),
    ],
)
def test_a_change_counts_for_the_commands_that_use_it(package, name, old, new, verbs):
    assert changed(package, name, old, new) == verbs


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("codec.py", "# a comment", "# another"),
        ("codec.py", "# of encode", ""),
        ("codec.py", '"""Read."""', '"""Read it."""'),
        ("codec.py", "film: int", "film: float"),
        ("codec.py", "import READERS, Kind", "import Kind, READERS"),
        ("commands/film.py", '"""What it does."""', '"""It does."""'),
        ("store.py", "import numpy\n", "import pandas\n"),
        ("log.py", "print(said)", "print(said, said)"),
        ("config/config.py", "1.5", "2.0"),  # its value is among a rule's params
        ("pages/__init__.py", "", '"""Pages."""'),
    ],
)
def test_what_cannot_change_a_number_reruns_nothing(package, name, old, new):
    assert not changed(package, name, old, new)


def test_a_move_reruns_nothing(package):
    before = prints()
    store = (package / "store.py").read_text()
    (package / "io.py").write_text(store)
    (package / "store.py").unlink()
    for name in ("codec.py", "pages/page.py"):
        text = (package / name).read_text()
        (package / name).write_text(text.replace("giblet.store", "giblet.io"))
    assert prints() == before


def test_an_unknown_command_is_named(package):
    with pytest.raises(ValueError, match="decode is not a command; there are encode, report"):
        source_fingerprint("decode")


def test_every_verb_has_a_fingerprint_of_its_own():
    found = {verb: source_fingerprint(verb) for verb in verb_functions()}
    assert len(set(found.values())) == len(found)


def executed(function, *arguments):
    """Names of giblet's functions and classes that ran, as (file, outermost name)."""
    seen = set()

    def watch(frame, event, _argument):
        code = frame.f_code
        own = code.co_filename.startswith(str(fingerprint.PACKAGE))
        is_function = code.co_flags & inspect.CO_OPTIMIZED  # not the body of a class or template
        if event == "call" and own and is_function and code.co_filename.endswith(".py"):
            seen.add((code.co_filename, code.co_qualname.split(".")[0]))

    sys.setprofile(watch)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return {(file, name) for file, name in seen if not name.startswith("<")}


@pytest.mark.parametrize(
    "verb", ["extract_codes", "extract_mel", "group_trs", "extract_video", "embed_text"]
)
def test_all_that_runs_is_in_the_fingerprint(verb, tmp_path):
    """Oracle: what Python itself calls while a verb works."""
    from giblet.config.config import parse_config

    config = parse_config({"t_r": 1.5, "max_trs": 4, "text_model": "hashing"})
    verbs = verb_functions()
    stream, trs = tmp_path / "stream.nc", tmp_path / "trs.nc"
    if verb == "group_trs":
        verbs["extract_mel"](film_path(), stream, config)
    arguments = {
        "group_trs": (stream, trs),
        "embed_text": (annotations_path(), trs, config, film_path()),
    }.get(verb, (film_path(), stream, config))
    check_reached(verb, executed(verbs[verb], *arguments))


def check_reached(verb, ran):
    known = {(str(file), name) for file, name in reached_definitions(verb)}
    silent = {str(fingerprint.PACKAGE / name) for name in SILENT}
    assert not {(file, name) for file, name in ran - known if file not in silent}
    assert len(ran) > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        "simulate_bold",
        "load_bold",
        "convolve_hrf",
        "brain_quality",
        "sync_align",
        "train",
        "reconstruct",
        "report",
        "export",
    ],
)
def test_all_that_runs_is_in_the_fingerprint_of_scans_and_models(
    verb, small_results_with_brains, tmp_path
):
    from tiny_pipeline import FILM, SAID, SETTINGS, SIMULATED

    from giblet.config.config import parse_config

    made = small_results_with_brains / "results" / "tiny"
    film = small_results_with_brains / FILM
    config = parse_config(SETTINGS | SIMULATED)
    regressors = sorted((made / "regressors").glob("*.nc"))
    chosen = [path for path in regressors if path.stem != "mel"]
    aligned, model, bold = made / "aligned/encodec.nc", made / "model/encodec", made / "bold.nc"
    trs = made / "trs"
    options = {
        "simulate_bold": {
            "film": film,
            "folder": tmp_path / "simulated",
            "annotations": small_results_with_brains / SAID,
        },
        "load_bold": {"source": made / "simulated", "bold": tmp_path / "bold.nc"},
        "convolve_hrf": {
            "features": trs / "encodec.nc",
            "bold": bold,
            "regressors": tmp_path / "regressors.nc",
        },
        "brain_quality": {
            "bold": bold,
            "quality": tmp_path / "quality.nc",
            "scores": tmp_path / "quality.tsv",
            "regressors": chosen,
            "sound": trs / "mel.nc",
        },
        "sync_align": {
            "audio": trs / "encodec.nc",
            "video": trs / "video.nc",
            "text": trs / "text.nc",
            "bold": bold,
            "regressors": chosen,
            "aligned": tmp_path / "aligned.nc",
        },
        "train": {"aligned": aligned, "model": tmp_path / "model", "logs": tmp_path / "logs"},
        "reconstruct": {
            "film": film,
            "aligned": aligned,
            "model": model,
            "audio": tmp_path / "audio",
            "scores": tmp_path / "scores/encodec.tsv",
        },
        "report": {"results": made, "page": tmp_path / "page.html"},
        "export": {
            "source": made / "simulated",
            "bold": bold,
            "film": trs / "encodec.nc",
            "regressors": chosen,
            "folder": tmp_path / "bids",
        },
    }[verb]
    check_reached(verb, executed(partial(verb_functions()[verb], config=config, **options)))


@pytest.mark.parametrize("verb", ["read_score", "score_features"])
def test_all_that_runs_is_in_the_fingerprint_of_scores(verb, tmp_path):
    import numpy as np
    import soundfile

    import giblet.music.recipe
    import giblet.music.score_features  # noqa: F401 - imports fill tables and defaults
    from giblet.config.config import parse_config
    from giblet.music.midi import write_midi
    from giblet.music.notes import Notes

    onset = np.arange(60) / 2
    notes = Notes(onset, np.full(60, 0.3), 60 + np.arange(60) % 12, np.full(60, 80))
    write_midi(notes, tmp_path / "piece.mid")
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 240_000), 8000)
    config, score = parse_config({"music": {"contexts": [2]}}), tmp_path / "score.nc"
    read = (tmp_path / "a.wav", tmp_path / "piece.mid", score, config)
    if verb == "score_features":
        verb_functions()["read_score"](*read)
        read = (score, tmp_path / "trs.nc", tmp_path / "notes.tsv", config)
    check_reached(verb, executed(verb_functions()[verb], *read))
