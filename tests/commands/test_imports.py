"""A command imports what it uses: heavy libraries stay out of the commands that do without."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "nilearn", "matplotlib", "pandas", "xarray", "scipy", "sklearn"}
HEAVY |= {"lightning", "snakemake", "librosa", "torchmetrics", "himalaya", "numba", "soundfile"}
HEAVY |= {"numpy"}
TABLES = {"numpy", "pandas", "xarray"}
LIGHT = """
doctor, init, join_stimuli, extract_codes, extract_mel, group_trs, extract_video, embed_text
sound_features, picture_features, word_features, read_score, score_features, simulate_bold
load_bold, convolve_hrf, brain_quality, sync_align, export, listening_test make
listening_test score, codec evaluate, codec compress, codec decompress
music check, music decode
"""
OF_MODELS = """
reconstruct, reconstruct_score, lesion, export_predictions
music encode, music evaluate, music generate, music infill
"""
# Of each command in turn: heavy modules that are there after what its function imports.
SCRIPT = """
import ast, inspect, json, sys, textwrap
from giblet.commands.cli import verb_functions

heavy, loaded = set(json.loads(sys.argv[1])), {}
loaded["the command line"] = sorted(heavy & sys.modules.keys())
for verb in sys.argv[2:]:
    source = textwrap.dedent(inspect.getsource(verb_functions()[verb]))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node))
    loaded[verb] = sorted(heavy & sys.modules.keys())
print(json.dumps(loaded))
"""


def loaded_after(verbs):
    command = [sys.executable, "-c", SCRIPT, json.dumps(sorted(HEAVY)), *verbs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {verb: set(names) for verb, names in json.loads(done.stdout).items()}


def named(text):
    return [verb.strip() for line in text.split("\n") for verb in line.split(",") if verb.strip()]


@pytest.mark.parametrize(
    ("verbs", "allowed"),
    [
        (named(LIGHT), TABLES),
        (named(OF_MODELS), TABLES | {"torch"}),
        (["report"], TABLES | {"torch", "matplotlib"}),
    ],
    ids=["light", "of models", "report"],
)
def test_commands_import_no_heavy_library_that_they_do_without(verbs, allowed):
    loaded = loaded_after(verbs)
    assert loaded.pop("the command line") == set()
    assert {verb: more for verb, names in loaded.items() if (more := names - allowed)} == {}


def test_blas_keeps_to_the_threads_of_the_command_line():
    """NumPy's BLAS reads the environment as it is imported, and Snakemake sets it for every job."""
    code = """
from giblet.commands.cli import limit_threads
limit_threads(1)
import numpy, scipy.linalg
from threadpoolctl import threadpool_info
print(*[pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert set(done.stdout.split()) == {"1"}
