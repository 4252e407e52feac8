"""Seconds that ``giblet doctor`` takes on each file: it answers in 10 s whatever it is given.

    python benchmarks/doctor.py [FILE_OR_FOLDER …] [--most 10]

Without files those of the tables in ``tests/real_inputs`` (sound, film and words), which are made
on the fly. Printed are the number of files, the slowest ten, and the files that took longer than
``--most``. What the command does once, importing libraries and looking at the machine, is not
counted. A traceback of a file ends the benchmark.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from giblet.commands.doctor.estimates import describe_needs
from giblet.config.config import Config

TESTS = Path(__file__).parents[1] / "tests"
WORDS = {".tsv", ".csv", ".txt", ".xlsx", ".textgrid", ".srt", ".vtt", ".json", ".ctm", ".stm"}
MINE = "mine"  # the demo's name is not allowed


def table_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Property and file of each row, made in ``folder``."""
    sys.path.insert(0, str(TESTS))
    from real_inputs import test_containers, test_sound, test_tracks, test_video, test_words

    modules = (test_sound, test_containers, test_tracks, test_video, test_words)
    tables = [table for module in modules for table in vars(module).values()]
    cases = {id(case): case for table in tables if isinstance(table, list) for case in table}
    for number, case in enumerate(cases.values()):
        if not hasattr(case, "make"):
            continue
        own = folder / str(number)
        own.mkdir()
        made = case.make(own)
        made = made[0] if isinstance(made, tuple) else getattr(made, "path", made)
        yield case.prop, made


def named_files(paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """All files of folders, and files."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                yield str(file), file


def seconds_of(file: Path) -> float:
    """Seconds of the doctor on a film, or on words with no film."""
    is_words = file.suffix.lower() in WORDS
    config = Config(
        dataset=MINE,
        film="none" if is_words else str(file),
        annotations=str(file) if is_words else "none",
        bold="none",
    )
    begin = time.monotonic()
    describe_needs(config)
    return time.monotonic() - begin


def main() -> None:
    """Print the number of files, and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--most", type=float, default=10.0, help="s")
    options = parser.parse_args()
    describe_needs(Config())  # imports
    with TemporaryDirectory() as folder:
        files = named_files(options.files) if options.files else table_files(Path(folder))
        measured = sorted(((seconds_of(file), name) for name, file in files), reverse=True)
    print(f"{len(measured)} files, {sum(seconds for seconds, _ in measured):.1f} s in all")
    for seconds, name in measured[:10]:
        print(f"{seconds:8.2f} s  {name}")
    too_slow = [name for seconds, name in measured if seconds > options.most]
    print(f"longer than {options.most:g} s: {len(too_slow)}", *too_slow, sep="\n")


if __name__ == "__main__":
    main()
