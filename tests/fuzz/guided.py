"""Coverage-guided fuzzing of framing, annotation and config parsers, by hand:

    pip install atheris
    python tests/fuzz/guided.py --minutes 10 [--keep FOLDER] [TARGET ...]

Not run by pytest. Each target has a process of its own and an equal share of the minutes. What
breaks one is written to FOLDER/crash-*; a fixed finding becomes a case of fuzz_corpus.py.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

WORDS = (".tsv", ".csv", ".TextGrid", ".srt", ".vtt", ".xlsx", ".json")
MARKS = ["onset", "duration", "text", "\t", "-->", "00:00:01.000", "WEBVTT", "xmin = ", "intervals"]
PARSERS = (
    *("giblet.film.annotations", "giblet.film.transcripts", "giblet.film.subtitles"),
    *("giblet.film.word_tables", "giblet.film.word_times", "giblet.film.word_json"),
    *("giblet.film.speech_marks", "giblet.io.paths", "giblet.io.arrays"),
    *("giblet.config.config", "giblet.codec_training.recipe", "giblet.audio.framing"),
    *("praatio.textgrid", "webvtt", "yaml"),
)
KEYS = ["t_r: ", "mel: {n_mels: ", "splits:\n  test: ", "&a ", "*a", "!!", "<<: ", "null", ".nan"]


def framing(data: bytes) -> None:
    """A stream that is cut into TRs comes back as it was; the clock loses no frame."""
    import atheris

    from giblet.audio.framing import group_trs, ungroup_trs
    from giblet.timing import TrClock, code_frame_edges

    given = atheris.FuzzedDataProvider(data)
    framing = given.PickValueInList(["tr_synchronous", "native", "other"])
    plain = given.ConsumeBool()
    t_r = given.ConsumeFloatInRange(0.05, 61.0) if plain else given.ConsumeFloat()
    frame_rate = given.ConsumeFloatInRange(0.01, 200.0) if plain else given.ConsumeFloat()
    n_trs, n_rows = given.ConsumeIntInRange(0, 40), given.ConsumeIntInRange(1, 3)
    try:
        clock = TrClock(t_r, frame_rate, framing)
    except ValueError:
        return
    if clock.frames_per_tr * n_trs > 20_000:
        return
    widths = clock.widths(n_trs)
    edges = code_frame_edges(n_trs, t_r, frame_rate)
    assert len(widths) == n_trs
    assert n_trs == 0 or widths.max() <= clock.frames_per_tr
    assert framing != "native" or (np.diff(edges) == widths).all()
    n_frames = int(widths.sum()) + given.ConsumeIntInRange(-2, 5)
    if n_frames < 0:
        return
    stream = np.arange(n_rows * n_frames, dtype=np.int32).reshape(n_rows, n_frames)
    try:
        grouped = group_trs(stream, clock, n_trs)
    except ValueError:
        assert n_frames < widths.sum()
        return
    back = ungroup_trs(grouped, clock)
    np.testing.assert_array_equal(back, stream[:, : int(widths.sum())])


def words(data: bytes) -> None:
    """Annotations are refused with a GibletError, or are rows in order with finite times."""
    from giblet.errors import GibletError
    from giblet.film.annotations import read_annotations

    if len(data) < 2:
        return
    path = _FOLDER / f"said{WORDS[data[0] % len(WORDS)]}"
    path.write_bytes(data[2:])
    try:
        rows = read_annotations(path, first_unit=1 if data[1] == 1 else None)
    except GibletError:
        return
    times = rows[["onset", "duration"]].to_numpy(float)
    assert len(rows)
    assert np.isfinite(times).all()
    assert (times >= 0).all()
    assert (np.diff(times[:, 0]) >= 0).all()


def config(data: bytes) -> None:
    """A config is refused with a GibletError, or is one that can be written and read again."""
    from giblet.codec_training.recipe import parse_recipe
    from giblet.config.config import parse_config
    from giblet.errors import GibletError
    from giblet.io.tables import load_yaml

    if not data:
        return
    path = _FOLDER / "config.yaml"
    path.write_bytes(data[1:])
    try:
        content = load_yaml(path)
        if data[0] % 4 == 0:
            parse_recipe(content, "recipe")
            return
        made = parse_config(content)
    except GibletError:
        return
    assert parse_config(json.loads(made.model_dump_json())) == made


TARGETS = {"framing": framing, "words": words, "config": config}
_FOLDER = Path(tempfile.gettempdir())


def seeds(target: str, folder: Path) -> None:
    """Valid files, so that the search begins inside the parsers."""
    import fuzz_seeds

    if target == "words":
        for name, make in fuzz_seeds.WORDS.items():
            make(folder / name)
            kind = bytes([WORDS.index(Path(name).suffix), 0])
            (folder / name).write_bytes(kind + (folder / name).read_bytes())
    elif target == "config":
        (folder / "config").write_bytes(b"\1" + fuzz_seeds.CONFIG.encode())
        (folder / "recipe").write_bytes(b"\0" + fuzz_seeds.RECIPE.encode())
    else:
        for n in range(8):
            (folder / f"{n}").write_bytes(np.random.default_rng(n).bytes(64))


def search(target: str, seconds: int, keep: Path) -> None:
    """One target, in this process; ends it."""
    global _FOLDER
    import atheris

    with atheris.instrument_imports(include=["giblet", "praatio", "webvtt", "yaml"]):
        for module in PARSERS:
            importlib.import_module(module)
    import logging

    logging.disable(logging.CRITICAL)
    corpus = keep / target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds(target, corpus)
    _FOLDER = Path(tempfile.mkdtemp())
    marks = _FOLDER / "marks"
    listed = [mark.replace("\n", "\\x0A").replace("\t", "\\x09") for mark in MARKS + KEYS]
    marks.write_text("\n".join(f'"{mark}"' for mark in listed))
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=6144", "-max_len=4096"]
    limits += [f"-dict={marks}", f"-artifact_prefix={keep}/crash-{target}-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], TARGETS[target])
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default="all", choices=["all", *TARGETS])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "giblet-fuzz")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        search(options.targets[0], int(60 * options.minutes), options.keep)
    targets = [*TARGETS] if "all" in options.targets else options.targets
    for target in targets:
        share = str(options.minutes / len(targets))
        words = [sys.executable, __file__, target, "--here", "--minutes", share]
        subprocess.run([*words, "--keep", str(options.keep)], check=False)


if __name__ == "__main__":
    main()
