"""From a film's sound and a viewer's brain to a shared code, and back to sound.

`snakemake --cores 8 reconstruct_audio` calls these verbs in turn; each can be called alone.
"""

import argparse
import inspect
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from giblet.commands import codec, export, film, model, scans, setup
from giblet.commands.option_help import OPTIONS, option_help, written
from giblet.commands.process import hush_hdf5, limit_threads, quiet_libraries
from giblet.config.config import Config, parse_config
from giblet.errors import GibletError, explain_os_error, nearest_name
from giblet.io.atomic import check_place
from giblet.io.checksums import Damaged, set_aside
from giblet.log import keeps_log, start_log, tell_mistake, told

COMMANDS = {  # in the order in which one uses them
    "to begin": (setup.doctor, setup.init),
    "the film": (
        film.extract_codes,
        film.extract_mel,
        film.group_trs,
        film.extract_video,
        film.embed_text,
    ),
    "the scans": (scans.simulate_bold, scans.load_bold, scans.convolve_hrf, scans.brain_quality),
    "film and scans together": (
        model.sync_align,
        model.train,
        model.pretrain,
        model.reconstruct,
        model.report,
    ),
    "virtual lesions": (scans.lesion,),
    "cross-subject decoding": (model.leave_one_out,),
    "export": (export.export,),
    "codec training": (codec.train, codec.evaluate, codec.compress, codec.decompress),
}
_EPILOG = """\
`giblet VERB --help` tells a verb's options, with an example.
Exit codes: 0 done; 1 a mistake that you can mend, in one line; 2 wrong options; 130 Ctrl-C."""
STOPPED = 130  # as shells have it
_HELD: list[BaseException] = []  # HDF5 crashes as it frees a file that could not be written
_OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory")  # torch's RuntimeError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and exit code 2; argparse would print the usage."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end} `{self.prog} --help` tells more\n")


def verb_functions() -> dict:
    """Verb name → function, in the order of the help; those of the lab begin with ``codec``."""
    return {_verb(function): function for group in COMMANDS.values() for function in group}


def _verb(function) -> str:
    lab = "codec " if function.__module__ == codec.__name__ else ""
    return lab + function.__name__


def _overview(groups: Iterable[str] = COMMANDS) -> str:
    """Every verb and its docstring's first line, group by group."""
    lines = []
    for group in groups:
        lines.append(f"  {group}:")
        for function in COMMANDS[group]:
            summary = inspect.getdoc(function).splitlines()[0].replace("``", "")
            lines.append(f"    {_verb(function):<17}{summary}")
    return "\n".join([*lines, "", _EPILOG])


def build_parser() -> argparse.ArgumentParser:
    """One sub-command a verb; its options are the verb's parameters."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = _Parser("giblet", description=__doc__, epilog=_overview(), **raw)
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    about = {"description": codec.__doc__, "epilog": _overview(["codec training"])}
    group = commands.add_parser("codec", **about, **raw)
    lab = group.add_subparsers(dest="lab_verb", required=True, metavar="VERB")
    for name, function in verb_functions().items():
        *in_lab, last = name.split()
        described = {"description": inspect.getdoc(function), **raw}
        command = (lab if in_lab else commands).add_parser(last, **described)
        for parameter in inspect.signature(function).parameters.values():
            _add_option(command, name, parameter)
        command.add_argument("--threads", type=_count, default=1, help=f"{OPTIONS['threads']} (1)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text!r}")
    return int(text)


def _add_option(command: argparse.ArgumentParser, verb: str, parameter: inspect.Parameter) -> None:
    if parameter.annotation is Config:
        command.add_argument("--settings", default="{}", help=option_help(verb, "settings"))
        return
    said, optional = option_help(verb, parameter.name), parameter.default is not parameter.empty
    shown = f" ({parameter.default})" if optional and parameter.default else ""
    about = {"metavar": parameter.name.upper(), "help": said + shown}
    if parameter.kind is parameter.POSITIONAL_ONLY:
        command.add_argument(parameter.name, type=Path, nargs="?" if optional else None, **about)
        return
    command.add_argument(
        _option(parameter),
        required=not optional,
        default=parameter.default if optional else None,
        nargs="*" if parameter.annotation == list[Path] else None,
        type=parameter.annotation if parameter.annotation in (str, float) else Path,
        **about,
    )


def _option(parameter: inspect.Parameter) -> str:
    """As it is written: ``--regressors``; a parameter without a name is what its value is."""
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return parameter.name.upper()
    name = "settings" if parameter.annotation is Config else parameter.name
    return "--" + name.replace("_", "-")


def parse_words(words: list[str]) -> dict:
    """A command line's verb and options; a mistake in them is one line, exit code 2."""
    parser = build_parser()
    _check_verb(parser, words)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        verb = f"{options.verb} {getattr(options, 'lab_verb', '')}".strip()
        known = ", ".join(_options_of(verb))
        parser.prog = f"giblet {verb}"
        parser.error(f"{unknown[0]!r} belongs to no option; there are {known}")
    return vars(options)


def _check_verb(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Misspelt ones first: argparse would name all verbs, or what is missing instead."""
    n_words = 2 if words[:1] == ["codec"] else 1
    verb, verbs = " ".join(words[:n_words]), verb_functions()
    if len(words) < n_words or "-" in (words[0][:1], words[n_words - 1][:1]):
        return
    if verb not in verbs:
        parser.error(f"no verb {verb!r}{nearest_name(verb, list(verbs))}")
    known = ["--help", *_options_of(verb)]
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        if not any(name.startswith(option) for name in known):
            parser.prog = f"giblet {verb}"
            parser.error(f"no option {option}{nearest_name(option, known)}")


def _options_of(verb: str) -> list[str]:
    parameters = inspect.signature(verb_functions()[verb]).parameters.values()
    return [*map(_option, parameters), "--threads"]


def _parse_settings(text: str) -> Config:
    try:
        return parse_config(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise GibletError(f"--settings must be JSON, not {text[:200]!r} ({error})") from None


def run() -> NoReturn:
    """`main` as a process; after a mistake it ends at once, and frees nothing, see `_HELD`."""
    hush_hdf5()
    code = main()
    if code == 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run a verb. A mistake that the user can mend is one line on standard error, exit code 1."""
    options = parse_words(sys.argv[1:] if arguments is None else arguments)
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
            _check_apart(options)
            _check_places(name, options)
            _call(verb_functions()[name], options)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        tell_mistake(f"giblet {name}: not enough memory ({error}). Is the input whole?")
        return 1
    except (GibletError, OSError) as error:
        _HELD.append(error)
        said = explain_os_error(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, Damaged) and keeps_log():
            said = set_aside(error)
        tell_mistake(f"giblet {name}: {said}")
        return 1
    except (KeyboardInterrupt, SystemExit) as stop:  # lightning makes an exit of Ctrl-C
        if not any(isinstance(error, KeyboardInterrupt) for error in (stop, stop.__context__)):
            raise
        tell_mistake(f"giblet {name}: stopped by the user; nothing half written")
        return STOPPED
    return 0


def _check_apart(options: dict) -> None:
    """No file under two options: one would be written over the other."""
    seen: dict[Path, str] = {}
    for name, path in options.items():
        if isinstance(path, Path) and path.exists() and not path.is_dir():
            first = seen.setdefault(path.resolve(), name)
            if first != name:
                said = f"--{first} and --{name}".replace("_", "-")
                raise GibletError(f"{said} are the same file: {path}")


def _check_places(verb: str, options: dict) -> None:
    """What the verb makes can be written where it is to go: said now, not after hours of work."""
    for name, path in options.items():
        if isinstance(path, Path) and (what := written(verb, name)):
            check_place(path, what)


def _call(verb, options: dict) -> None:
    parameters = inspect.signature(verb).parameters.values()
    unnamed = [options.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY]
    verb(*unnamed, **options)
