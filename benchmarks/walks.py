"""Call paths of seven tasks: the files of giblet that they enter, and the calls between them.

    python benchmarks/walks.py results/demo [--max-trs 40] [--sequence]

Each task runs once, small, on a copy of a results folder (three minutes in all), where
`sys.setprofile` sees every call. For each task:

- **files**: the distinct files of giblet in which a function was called;
- **crossings**: the distinct triples (caller's file, called file, called function) where the two
  files differ. The caller is the nearest function of giblet on the stack, so what torch, pydantic
  or argparse call back counts as called by whoever entered that library. A call that is repeated,
  as in a loop, counts once;
- **returns**: crossings into a file that the task had entered before: crossings - (files - 1).

Modules that are imported on the way do not count. "config of train" is the part of "fit" that
handles settings: the config file read as the workflow reads it, the command line up to the verb,
and after it each call with a section of the config among its arguments.

It measures the giblet that Python finds, also an older one: ``PYTHONPATH=/where/it/is``.
"""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import threading
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydantic
import yaml

import giblet

PACKAGE = Path(giblet.__file__).parent
LIBRARY = object()  # the code of others


@dataclass
class Walk:
    """The calls of one task, in the order in which they were first made."""

    calls: dict = field(default_factory=dict)  # (caller's file, called file, function) → None
    files: dict = field(default_factory=dict)  # → None

    def add(self, caller, called, function):
        if caller != called:
            self.files[called] = None
            if caller is not None:
                self.calls[caller, called, function] = None

    def row(self):
        n_files, n_calls = len(self.files), len(self.calls)
        return n_files, n_calls, n_calls - (n_files - 1)


class Tracer:
    """Sees every call of the block, in all threads; with the function ``verb`` parsing ends."""

    def __init__(self, verb=None):
        self.walk, self.config, self.verb, self.begun = Walk(), Walk(), verb, False
        self.names = {}  # of a code object's file, as it is in giblet; None elsewhere
        self.local = threading.local()

    def __enter__(self):
        threading.setprofile(self.see)
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)

    def see(self, frame, event, _):
        if event not in ("call", "return"):
            return
        code = frame.f_code
        name = self.names.get(code.co_filename, LIBRARY)
        if name is LIBRARY:
            path = Path(code.co_filename)
            inside = path.is_relative_to(PACKAGE) and path.suffix == ".py"
            name = self.names[code.co_filename] = str(path.relative_to(PACKAGE)) if inside else None
        if name is None:
            return
        stack = self.local.__dict__.setdefault("stack", [])
        if event == "return":
            if stack:
                stack.pop()
            return
        importing = code.co_name == "<module>" or (stack and stack[-1] is LIBRARY)
        if not importing:
            caller = stack[-1] if stack else None
            function = code.co_qualname.replace(".<locals>", "")
            self.walk.add(caller, name, function)
            self.begun = self.begun or function == self.verb
            if self.verb and (not self.begun or function == self.verb or _has_settings(frame)):
                self.config.add(caller, name, function)
        stack.append(LIBRARY if importing else name)


def _has_settings(frame):
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return any(isinstance(frame.f_locals.get(n), pydantic.BaseModel) for n in names)


def find(*names):
    """The first of these modules that this giblet has."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit(f"{PACKAGE}: none of {', '.join(names)}")


def with_few_trs(aligned, to, n):
    """A copy in which only the first ``n`` TRs of the test part are tested."""
    files = find("giblet.io.arrays", "giblet.store")
    arrays = files.load_arrays(aligned)
    (tested,) = np.nonzero(arrays["part"].values == "test")
    part = arrays["part"].values.copy()
    part[tested[n:]] = "gap"
    files.save_arrays(arrays.assign(part=("tr", part)), to)
    return to


def walk_all(results, work, max_trs):
    """Task → its `Walk`."""
    main = find("giblet.commands.cli", "giblet.cli").main
    config = find("giblet.config.config", "giblet.config")
    tables = find("giblet.io.tables", "giblet.store")
    from giblet.demo import film_path

    done = {}

    def run(task, verb, settings, tracer=None, **options):
        words = [verb, "--settings", json.dumps(settings)]
        for name, value in options.items():
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
        with tracer or Tracer() as seen, redirect_stdout(sys.stderr):
            code = main(words)
        if code:
            raise SystemExit(f"{task}: giblet {verb} failed")
        done[task] = seen.walk
        return seen

    film, aligned = film_path(), with_few_trs(results / "aligned/encodec.nc", work / "a.nc", 20)
    few = {"max_trs": max_trs}
    run("film → codes", "extract_codes", few, film=film, codes=work / "codes.nc")
    run("scan → bold.nc", "load_bold", {}, source=results / "simulated", bold=work / "bold.nc")
    regressors = [results / f"regressors/{name}.nc" for name in ("encodec", "video", "text")]
    quality = {"n_permutations": 5, "n_shifts": 5}
    run(
        "brain_quality",
        "brain_quality",
        few | {"max_trs": 4 * max_trs, "max_voxels": 500, "quality": quality},
        bold=work / "bold.nc",
        regressors=regressors,
        sound=results / "trs/mel.nc",
        quality=work / "quality.nc",
        scores=work / "quality.tsv",
    )
    brief = {"training": {"max_epochs": 1, "bfloat16": False}}
    (work / "config.yaml").write_text(yaml.safe_dump(brief))
    tracer = Tracer("train")
    with tracer:
        whole = config.parse_config(tables.load_yaml(work / "config.yaml"))
    part = whole.model_dump(include={"codec", "bandwidth_kbps", "framing", "model", "training"})
    seen = run(
        "fit", "train", part, tracer, aligned=aligned, model=work / "model", logs=work / "logs"
    )
    done["config of train"] = seen.config
    run(
        "reconstruct",
        "reconstruct",
        {},
        film=film,
        aligned=aligned,
        model=results / "model/encodec",
        audio=work / "audio",
        scores=work / "scores.tsv",
    )
    everything = config.parse_config({}).model_dump()
    run("results → page", "report", everything, results=results, page=work / "report.html")
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="a folder of results of the bundled film")
    parser.add_argument("--max-trs", type=int, default=40)
    parser.add_argument("--sequence", action="store_true", help="each crossing, in order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(shutil.copytree(options.results, Path(folder) / "results"))
        (work := Path(folder) / "work").mkdir()
        done = walk_all(results, work, options.max_trs)
    print(f"{'task':<20}{'files':>7}{'crossings':>11}{'returns':>9}")
    for task, walk in done.items():
        n_files, n_calls, n_returns = walk.row()
        print(f"{task:<20}{n_files:>7}{n_calls:>11}{n_returns:>9}")
        if options.sequence:
            for caller, called, function in walk.calls:
                print(f"    {caller} → {called}: {function}")


if __name__ == "__main__":
    main()
