"""Processor seconds that commands need to start: Python, the command line, a command's imports.

    python benchmarks/imports.py [COMMAND ...] [--repeats 3]

Every command is a new process that imports what its function imports, and runs none of it. User
and system seconds, the median of ``--repeats``; heavy packages that were imported beside it.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

HEAVY = ("torch", "transformers", "lightning", "nilearn", "sklearn", "himalaya", "matplotlib")
HEAVY += ("librosa", "numba", "scipy", "pandas", "xarray")
SCRIPT = """
import ast, inspect, json, sys, textwrap
from giblet.commands.cli import verb_functions

functions = verb_functions()
for verb in sys.argv[2:]:
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(functions[verb])))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node))
heavy = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
print(json.dumps([list(functions), heavy]))
"""


def start(*verbs: str) -> tuple[float, list[str], list[str]]:
    """Processor seconds of a new process; all commands; heavy packages that it imported."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", SCRIPT, json.dumps(HEAVY), *verbs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (used, *json.loads(done.stdout))


def main() -> None:
    """Print a row per command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", help="all, if none is named")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("| command | processor seconds | imports |\n|---|---|---|")
    for verb in ["", *(options.commands or start()[1])]:
        runs = [start(*filter(None, [verb])) for _ in range(options.repeats)]
        seconds = statistics.median(run[0] for run in runs)
        heavy = ", ".join(runs[-1][2]) or "–"
        print(f"| {verb or 'the command line'} | {seconds:.2f} | {heavy} |", flush=True)


if __name__ == "__main__":
    main()
