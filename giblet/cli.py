"""From a film's sound and a viewer's brain to a shared code, and back to sound.

`snakemake --cores 8 reconstruct_audio` calls these verbs in turn; each can be called alone.
"""

import argparse
import inspect
import json
import logging
import os
import sys
import warnings
from pathlib import Path

from giblet.checks import GibletError, explain_os_error
from giblet.codec import verbs as codec_verbs
from giblet.config import Config, parse_config
from giblet.logbook import start_log, tell_mistake, told
from giblet.verbs import bottleneck, brain, export, film, generalisation, lesion, setup

ROOMS = {  # modules of verbs, in the order in which one uses them
    setup: "to begin",
    film: "the film",
    brain: "the scans",
    bottleneck: "film and scans together",
    lesion: "what a region hears",
    generalisation: "people whom the model never saw",
    export: "for others' tools",
    codec_verbs: "the codec lab",
}
_EPILOG = """\
`giblet VERB --help` tells a verb's options, with an example.
Exit codes: 0 done; 1 a mistake that you can mend, in one line; 2 wrong options."""


def verb_functions() -> dict:
    """Verb name → function, in the order of the help; the lab's begin with ``codec``."""
    return {name: f for room in ROOMS for name, f in _verbs_in(room).items()}


def _verbs_in(room) -> dict:
    """The same of one module, in the order they are written."""
    functions = [f for _, f in inspect.getmembers(room, inspect.isfunction)]
    own = [f for f in functions if f.__module__ == room.__name__]
    own.sort(key=lambda function: function.__code__.co_firstlineno)
    group = "codec " if room is codec_verbs else ""
    return {group + f.__name__: f for f in own if not f.__name__.startswith("_")}


def _overview(rooms=ROOMS) -> str:
    """Every verb and its docstring's first line, room by room."""
    lines = []
    for room in rooms:
        lines.append(f"  {ROOMS[room]}:")
        for name, function in _verbs_in(room).items():
            said = inspect.getdoc(function).splitlines()[0].replace("``", "")
            lines.append(f"    {name:<17}{said}")
    return "\n".join([*lines, "", _EPILOG])


def build_parser() -> argparse.ArgumentParser:
    """One sub-command a verb; its options are the verb's parameters."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser("giblet", description=__doc__, epilog=_overview(), **raw)
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    about = {"description": codec_verbs.__doc__, "epilog": _overview([codec_verbs])}
    group = commands.add_parser("codec", **about, **raw)
    lab = group.add_subparsers(dest="lab_verb", required=True, metavar="VERB")
    for name, function in verb_functions().items():
        *in_lab, last = name.split()
        described = {"description": inspect.getdoc(function), **raw}
        command = (lab if in_lab else commands).add_parser(last, **described)
        for parameter in inspect.signature(function).parameters.values():
            _add_option(command, parameter)
        command.add_argument("--threads", type=int, default=1, help="of torch and BLAS (1)")
    return parser


def _add_option(command: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    if parameter.annotation is Config:
        command.add_argument("--settings", default="{}", help="JSON with keys of config.yaml")
        return
    if parameter.kind is parameter.POSITIONAL_ONLY:
        command.add_argument(parameter.name, type=Path, metavar=parameter.name.upper())
        return
    optional = parameter.default is not parameter.empty
    command.add_argument(
        "--" + parameter.name.replace("_", "-"),
        required=not optional,
        default=parameter.default if optional else None,
        nargs="*" if parameter.annotation == list[Path] else None,
        type=parameter.annotation if parameter.annotation in (str, float) else Path,
        metavar=parameter.name.upper(),
    )


def _parse_settings(text: str) -> Config:
    try:
        return parse_config(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise GibletError(f"--settings must be JSON, not {text[:200]!r} ({error})") from None


def limit_threads(n: int) -> None:
    """Keep torch, BLAS and OpenMP to ``n`` threads that sleep while they wait."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(n)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def quiet_libraries() -> None:
    """Leave standard error to giblet: no tips, no progress bars that nobody watches."""
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if "huggingface_hub" in sys.modules:  # it has read the environment already
            from huggingface_hub.utils import disable_progress_bars

            disable_progress_bars()
        if "transformers" in sys.modules:
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
    logging.disable(logging.INFO)  # lightning sets its own level when it is imported
    warnings.filterwarnings("ignore", module=r"(lightning|torch)\.")


def main(arguments: list[str] | None = None) -> int:
    """Run a verb. A mistake that the user can mend is one line on standard error, exit code 1."""
    options = vars(build_parser().parse_args(arguments))
    name, settings = options.pop("verb"), options.pop("settings", None)
    if lab_verb := options.pop("lab_verb", None):
        name = f"{name} {lab_verb}"
    limit_threads(options.pop("threads"))
    quiet_libraries()
    start_log()
    try:
        if settings is not None:
            options["config"] = _parse_settings(settings)
        with told(name):
            _call(verb_functions()[name], options)
    except MemoryError as error:
        tell_mistake(f"giblet {name}: not enough memory ({error}). Is the input whole?")
        return 1
    except (GibletError, OSError) as error:
        said = explain_os_error(error) if isinstance(error, OSError) else str(error)
        tell_mistake(f"giblet {name}: {said}")
        return 1
    return 0


def _call(verb, options: dict) -> None:
    parameters = inspect.signature(verb).parameters.values()
    unnamed = [options.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY]
    verb(*unnamed, **options)
