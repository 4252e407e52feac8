"""Runs cases of the corpus, each in a process of its own with 10 s and 2 GB; prints what came out.

``python tests/fuzz/fuzz_worker.py FOLDER OUTCOMES.json EVERY [GROUP ...]`` takes every
``EVERY``-th case. The libraries are loaded once; every case is a fork of that process.
"""

import faulthandler
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

SECONDS, WAIT = 10, 180  # of the processor; by the clock, which a busy machine stretches
MORE_BYTES, LARGEST_FILE = 2 * 2**30, 200 * 2**20


@dataclass
class Outcome:
    """``ended``: exit code, or minus the signal; ``left``: files in the output folder."""

    group: str
    case: str
    ended: int
    said: str
    left: list[str]
    whole: bool


def run_forked(arguments: list[str], said: Path, check) -> int:
    """``giblet`` with these arguments in a fork: exit code, or minus the signal that ended it.

    Where it succeeds, ``check`` reads what it wrote; 99 if that cannot be read.
    """
    child = os.fork()
    if child == 0:
        code = 98
        try:
            _limit()
            _redirect(said)
            os.chdir(said.parent / "in" if (said.parent / "in").is_dir() else ".")
            faulthandler.dump_traceback_later(WAIT - 1, file=sys.stderr)
            from giblet.commands.cli import main

            code = main(arguments)
            if code == 0:
                code = 0 if check() else 99
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 97
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _limit() -> None:
    import psutil

    now = int(sum(os.times()[:2]))
    most = psutil.Process().memory_info().vms + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (now + SECONDS, now + SECONDS + 2))
    signal.alarm(WAIT)


def _redirect(said: Path) -> None:
    """Standard output to nowhere, standard error to a file, also what C libraries write."""
    nowhere, file = (
        os.open(os.devnull, os.O_RDWR),
        os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600),
    )
    for number, target in ((0, nowhere), (1, nowhere), (2, file)):
        os.dup2(target, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", errors="backslashreplace")


def whole(out: Path) -> bool:
    """Whether something was written, and every array and table of it can be read."""
    from giblet.io.arrays import load_arrays
    from giblet.io.tables import load_table

    files = [path for path in out.rglob("*") if path.is_file()]
    for path in files:
        if path.suffix == ".nc":
            load_arrays(path)
        elif path.suffix == ".tsv":
            load_table(path)
    return bool(files) and all(path.stat().st_size for path in files)


def run_case(group, case, seeds: Path, folder: Path) -> Outcome:
    """One case, in ``folder``, which is removed afterwards."""
    shutil.copytree(seeds, folder / "in", symlinks=True)
    (folder / "out").mkdir()
    case.spoil(folder / "in")
    arguments = [word.format(i=folder / "in", o=folder / "out") for word in case.arguments]
    out = folder / "out"
    ended = run_forked(arguments, folder / "said", lambda: whole(out) or group.silent)
    said = (folder / "said").read_text(errors="replace")
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    shutil.rmtree(folder)
    return Outcome(group.name, case.name, ended, said, left, ended == 0)


def main() -> None:
    folder, outcomes, every, *wanted = sys.argv[1:]
    folder, outcomes = map(os.path.abspath, (folder, outcomes))
    from fuzz_corpus import groups

    os.environ["HF_HUB_OFFLINE"] = "1"
    found = []
    if not wanted or "settings" in wanted:
        import giblet.codec_training.trainer  # noqa: F401  slow to load; each fork would do it again
    for group in groups():
        if wanted and group.name not in wanted:
            continue
        seeds = Path(folder) / group.name
        seeds.mkdir(parents=True)
        _make(group, seeds)
        _warm_up(group, seeds, Path(folder))
        for n, case in enumerate(islice(group.cases(), 0, None, int(every))):
            outcome = run_case(group, case, seeds, Path(folder) / f"{group.name}-{n}")
            found.append(asdict(outcome))
            Path(outcomes).write_text(json.dumps(found, indent=1))
            if outcome.ended < 0:
                print(outcome.group, outcome.case, outcome.ended, flush=True)


def _warm_up(group, seeds: Path, folder: Path) -> None:
    """The valid files are accepted; the first in this process, so that libraries are loaded.

    The others in forks: FFmpeg's threads, left behind, would stop every later fork.
    """
    from giblet.commands.cli import main

    os.chdir(seeds)
    for n, words in enumerate(group.valid()):
        out = folder / f"{group.name}-valid-{n}"
        out.mkdir()
        arguments = [word.format(i=seeds, o=out) for word in words]
        code = run_forked(arguments, folder / "said", lambda: True) if n else main(arguments)
        if code != 0:
            raise SystemExit(f"{group.name}: the valid files are refused: {words}")
        shutil.rmtree(out)


def _make(group, seeds: Path) -> None:
    """The group's files, in a fork for the same reason."""
    child = os.fork()
    if child == 0:
        try:
            group.make(seeds)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"{group.name}: its files cannot be made")


if __name__ == "__main__":
    main()
