"""The command line: ``giblet VERB --option value``, one verb per Snakemake rule."""

import argparse
import inspect
import json
import logging
import os
import sys
import warnings
from pathlib import Path

from giblet.checks import GibletError
from giblet.codec import verbs as codec_verbs
from giblet.config import Config, parse_config
from giblet.verbs import bottleneck, brain, film, generalisation, lesion


def verb_functions() -> dict:
    """Verb name → function, in the order they are written; the lab's begin with ``codec``."""
    found = {}
    rooms = dict.fromkeys((film, brain, bottleneck, generalisation, lesion), "")
    for module, group in (rooms | {codec_verbs: "codec "}).items():
        functions = [f for _, f in inspect.getmembers(module, inspect.isfunction)]
        own = [f for f in functions if f.__module__ == module.__name__]
        own.sort(key=lambda function: function.__code__.co_firstlineno)
        found |= {group + f.__name__: f for f in own if not f.__name__.startswith("_")}
    return found


def build_parser() -> argparse.ArgumentParser:
    """One sub-command a verb; its options are the verb's parameters."""
    parser = argparse.ArgumentParser("giblet", description=__doc__)
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    lab = None
    for name, function in verb_functions().items():
        if " " in name and lab is None:
            group = commands.add_parser("codec", help=codec_verbs.__doc__)
            lab = group.add_subparsers(dest="lab_verb", required=True, metavar="VERB")
        command = (lab or commands).add_parser(
            name.split()[-1],
            help=inspect.getdoc(function).splitlines()[0],
            description=inspect.getdoc(function),
        )
        for parameter in inspect.signature(function).parameters.values():
            _add_option(command, parameter)
        command.add_argument("--threads", type=int, default=1, help="threads of torch and BLAS")
    return parser


def _add_option(command: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    if parameter.annotation is Config:
        command.add_argument("--settings", default="{}", help="JSON with keys of config.yaml")
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
    except json.JSONDecodeError as error:
        raise GibletError(f"--settings must be JSON, not {text!r} ({error})") from None


def limit_threads(n: int) -> None:
    """Keep torch, BLAS and OpenMP to ``n`` threads that sleep while they wait."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(n)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def quiet_libraries() -> None:
    """Leave standard error to giblet: no tips, no progress bars that nobody watches."""
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if "transformers" in sys.modules:  # it has read the environment already
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
    logging.disable(logging.INFO)  # lightning sets its own level when it is imported
    warnings.filterwarnings("ignore", module=r"(lightning|torch)\.")


def main(arguments: list[str] | None = None) -> int:
    """Run a verb. A user's mistake is one line on standard error and exit code 1."""
    options = vars(build_parser().parse_args(arguments))
    name, settings = options.pop("verb"), options.pop("settings", None)
    if lab_verb := options.pop("lab_verb", None):
        name = f"{name} {lab_verb}"
    limit_threads(options.pop("threads"))
    quiet_libraries()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        if settings is not None:
            options["config"] = _parse_settings(settings)
        verb_functions()[name](**options)
    except GibletError as error:
        print(f"giblet {name}: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 1
    return 0
