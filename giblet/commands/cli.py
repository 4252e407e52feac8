"""The command line: a command for each rule of the workflow, and a few more."""

import argparse
import inspect
import json
import logging
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn, get_origin

from giblet.commands import (
    audit,
    codec,
    export,
    feature_spaces,
    film,
    folds,
    listening_test,
    model,
    music,
    prior,
    scans,
    score,
    searchlight,
    setup,
)
from giblet.commands.option_help import OPTIONS, option_help, outputs
from giblet.commands.process import limit_threads, quiet_hdf5
from giblet.config.config import Config, parse_config
from giblet.errors import GibletError, explain_os_error, nearest_name
from giblet.io.atomic import check_place
from giblet.io.checksums import Damaged, set_aside
from giblet.log import keeps_log, log_to_stderr, logged, quiet_libraries

COMMANDS = {  # in the order in which one uses them
    "setup": (setup.doctor, setup.init),
    "film": (
        film.join_stimuli,
        film.extract_codes,
        film.extract_mel,
        film.group_trs,
        film.extract_video,
        film.embed_text,
        feature_spaces.sound_features,
        feature_spaces.picture_features,
        feature_spaces.word_features,
        score.read_score,
        score.score_features,
    ),
    "scans": (scans.simulate_bold, scans.load_bold, scans.convolve_hrf, scans.brain_quality),
    "model": (
        model.sync_align,
        model.train,
        model.pretrain,
        model.reconstruct,
        prior.anchored_prior,
        score.reconstruct_score,
        model.report,
    ),
    "levels of the sound": (scans.codec_ladder,),
    "folds": (folds.decode_features, folds.fold_scores),
    "virtual lesions": (scans.lesion,),
    "where in the brain": (searchlight.searchlight,),
    "cross-subject decoding": (model.leave_one_out, model.calibration),
    "audit": (audit.audit,),
    "export": (export.export, export.export_predictions),
    "listening test": (listening_test.make, listening_test.score),
    "codec training": (codec.train, codec.evaluate, codec.compress, codec.decompress),
    "symbolic music": (
        music.check,
        music.encode,
        music.decode,
        music.train,
        music.evaluate,
        music.generate,
        music.infill,
        music.interpolate,
        music.traverse,
        music.render,
    ),
}
_TYPES = {
    str: str,
    int: int,
    float: float,
    str | None: str,
    int | None: int,
}  # of options; all others are paths
_GROUPS = {  # commands of two words
    "codec": (codec, "codec training"),
    "listening_test": (listening_test, "listening test"),
    "music": (music, "symbolic music"),
}
_ABOUT = """\
Audio from fMRI: film and scans to a shared bottleneck, and back to sound.

`snakemake --cores 8 reconstruct_audio` runs these commands in turn; each can be run alone."""
_EPILOG = """\
`giblet VERB --help` (`giblet codec VERB --help`) shows the options of a command, with an example.
Exit codes: 0 done; 1 a mistake that you can fix, in one line; 2 wrong options; 130 Ctrl-C."""
STOPPED = 130  # as shells have it
_logger = logging.getLogger("giblet")
_errors: list[BaseException] = []  # kept: HDF5 crashes as it frees a file that was not written
_OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory")  # torch's RuntimeError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and exit code 2; argparse would print the usage."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end} See `{self.prog} --help`\n")


def verb_functions() -> dict:
    """Command → function, in the order of the help; in a group of its own ``codec ...``."""
    return {_verb(function): function for group in COMMANDS.values() for function in group}


def _verb(function: Callable) -> str:
    for group, (module, _about) in _GROUPS.items():
        if function.__module__ == module.__name__:
            return f"{group} {function.__name__}"
    return function.__name__


def _description(function: Callable) -> str:
    """Its docstring without the marks of reStructuredText; nothing with ``python -OO``."""
    return (inspect.getdoc(function) or "").replace("``", "")


def _overview(groups: Iterable[str] = COMMANDS) -> str:
    """Every command and its docstring's first line, group by group."""
    lines = []
    for group in groups:
        lines.append(f"  {group}:")
        for function in COMMANDS[group]:
            summary = _description(function).partition("\n")[0]
            lines.append(f"    {_verb(function) + ' ':<17}{summary}")
    return "\n".join([*lines, "", _EPILOG])


def build_parser() -> argparse.ArgumentParser:
    """A sub-command per command; its options are the function's parameters."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = _Parser("giblet", description=_ABOUT, epilog=_overview(), **raw)
    parser.add_argument("--version", action="version", version=f"giblet {version('giblet')}")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    in_groups = {}
    for name, (module, listed) in _GROUPS.items():
        about = {"description": _description(module), "epilog": _overview([listed])}
        group = commands.add_parser(name, **about, **raw)
        in_groups[name] = group.add_subparsers(dest="verb_in_group", required=True, metavar="VERB")
    for name, function in verb_functions().items():
        *in_group, last = name.split()
        added_to = in_groups[in_group[0]] if in_group else commands
        command = added_to.add_parser(last, description=_description(function), **raw)
        written = outputs(function)
        for parameter in inspect.signature(function).parameters.values():
            _add_option(command, name, parameter, written.get(parameter.name))
        command.add_argument("--threads", type=_count, default=1, help=f"{OPTIONS['threads']} (1)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text!r}")
    return int(text)


def _add_option(
    command: argparse.ArgumentParser, verb: str, parameter: inspect.Parameter, kind: str | None
) -> None:
    if parameter.annotation is Config:
        command.add_argument("--settings", default="{}", help=option_help(verb, "settings"))
        return
    optional = parameter.default is not parameter.empty
    shown = f" ({parameter.default})" if optional and parameter.default else ""
    line = option_help(verb, parameter.name, kind)
    about = {"metavar": parameter.name.upper(), "help": line + shown}
    if parameter.kind is parameter.POSITIONAL_ONLY:
        command.add_argument(parameter.name, type=Path, nargs="?" if optional else None, **about)
        return
    command.add_argument(
        _option(parameter),
        required=not optional,
        default=parameter.default if optional else None,
        nargs="*" if get_origin(parameter.annotation) is list else None,
        type=_TYPES.get(parameter.annotation, Path),
        **about,
    )


def _option(parameter: inspect.Parameter) -> str:
    """As it is written: ``--regressors``; ``SOURCE`` for a parameter without a name."""
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return parameter.name.upper()
    name = "settings" if parameter.annotation is Config else parameter.name
    return "--" + name.replace("_", "-")


def parse_words(words: list[str]) -> dict:
    """The command and options of a command line; a mistake in them is one line, exit code 2.

    Without a command, and for a group of commands alone, the help is printed.
    """
    parser = build_parser()
    if not words or (len(words) == 1 and words[0] in _GROUPS):
        words = [*words, "--help"]
    _check_verb(parser, words)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        verb = f"{options.verb} {getattr(options, 'verb_in_group', '')}".strip()
        valid = ", ".join(_options_of(verb))
        parser.prog = f"giblet {verb}"
        parser.error(f"{unknown[0]!r} belongs to no option; there are {valid}")
    return vars(options)


def _check_verb(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Report misspelt names first: argparse would list all commands, or what is missing."""
    n_words = 2 if words and words[0] in _GROUPS else 1
    verb, verbs = " ".join(words[:n_words]), verb_functions()
    if len(words) < n_words or "-" in (words[0][:1], words[n_words - 1][:1]):
        return
    if verb not in verbs:
        parser.error(f"no verb {verb!r}{nearest_name(verb, list(verbs))}")
    valid = ["--help", *_options_of(verb)]
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        if not any(name.startswith(option) for name in valid):
            parser.prog = f"giblet {verb}"
            parser.error(f"no option {option}{nearest_name(option, valid)}")


def _options_of(verb: str) -> list[str]:
    parameters = inspect.signature(verb_functions()[verb]).parameters.values()
    return [*map(_option, parameters), "--threads"]


def _parse_settings(text: str) -> Config:
    try:
        return parse_config(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise GibletError(f"--settings must be JSON, not {text[:200]!r} ({error})") from None


def run() -> NoReturn:
    """`main` as a process; after a mistake it ends at once, and frees nothing: see `_errors`.

    After Ctrl-C, too: Python would kill itself by the signal if that came while code was made from
    a string (a dataclass, in an import), although it was caught.
    """
    quiet_hdf5()
    code = main()
    if code in (1, STOPPED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run a command. A mistake that the user can fix is one line on standard error, exit code 1."""
    options = parse_words(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(filter(None, [options.pop("verb"), options.pop("verb_in_group", None)]))
    limit_threads(options.pop("threads"))
    quiet_libraries()
    with log_to_stderr():
        return _exit_code(name, options)


def _exit_code(name: str, options: dict) -> int:
    """Run a command; log what stopped it."""
    try:
        if "settings" in options:
            options["config"] = _parse_settings(options.pop("settings"))
        with logged(name):
            _check_apart(options)
            _check_places(verb_functions()[name], options)
            config = options.get("config")
            with _backend(config), _speech_models(config):
                _call(verb_functions()[name], options)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        _logger.error("giblet %s: not enough memory (%s). Is the input whole?", name, error)
        return 1
    except (GibletError, OSError) as error:
        if isinstance(error, BrokenPipeError) and _output_is_closed():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        _errors.append(error)
        message = explain_os_error(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, Damaged) and keeps_log():
            message = set_aside(error)
        _logger.error("giblet %s: %s", name, message)
        return 1
    except (KeyboardInterrupt, SystemExit) as stop:  # lightning makes an exit of Ctrl-C
        if not any(isinstance(error, KeyboardInterrupt) for error in (stop, stop.__context__)):
            raise
        _logger.error("giblet %s: stopped by the user; nothing half written", name)
        return STOPPED
    return 0


def _output_is_closed() -> bool:
    """Whether nobody reads standard output any more, as `| head` leaves it."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # a stream in memory
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always reported
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _backend(config: Config | Path | None) -> AbstractContextManager:
    """Where the command's ridge regression runs; ``config`` may be a file, of `doctor`."""
    if not isinstance(config, Config) or config.ridge_backend == "numpy":
        return nullcontext()
    from giblet.stats.array_backend import ridge_backend

    return ridge_backend(config.ridge_backend)


def _speech_models(config: Config | Path | None) -> AbstractContextManager:
    """The models of speech that score sound."""
    if not isinstance(config, Config) or not any(config.speech_models.model_dump().values()):
        return nullcontext()
    from giblet.audio.metrics.speech_models import speech_models

    return speech_models(config.speech_models.model_dump())


def _check_apart(options: dict) -> None:
    """No file under two options: one would be written over the other."""
    seen: dict[Path, str] = {}
    for name, path in options.items():
        if isinstance(path, Path) and path.exists() and not path.is_dir():
            first = seen.setdefault(path.resolve(), name)
            if first != name:
                both = f"--{first} and --{name}".replace("_", "-")
                raise GibletError(f"{both} are the same file: {path}")


def _check_places(verb: Callable, options: dict) -> None:
    """Check that the outputs can be written where they are to go, before hours of work."""
    for name, kind in outputs(verb).items():
        if options[name] is not None:
            check_place(options[name], f"a {kind}")


def _call(verb: Callable, options: dict) -> None:
    parameters = inspect.signature(verb).parameters.values()
    unnamed = [options.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY]
    verb(*unnamed, **options)
