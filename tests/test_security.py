"""Nothing that is read is run, and no name becomes a command (SECURITY.md)."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_pipeline import forked_snakemake

from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.paths import file_name
from giblet.report import page_text

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "giblet").rglob("*.py"))
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
NEVER = {
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "pd.read_pickle",
}
FLAG = re.compile(r'(?:lambda _, input: )?(?:"--\w+=?" if .+ else ""|"" if .+ else "--\w+=?")')


def called(node):
    """``torch.load`` of ``torch.load(...)``."""
    return ast.unparse(node.func)


def offences(source):
    """What a module does that could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] in UNPICKLERS]
        if isinstance(node, ast.Call):
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            name = called(node)
            found += [name] * (
                name in RUNNERS | NEVER or "trust_remote_code" in given.get(None, "")
            )
            found += [name] * (given.get("shell") == "True" or given.get("allow_pickle") == "True")
            found += [name] * (given.get("trust_remote_code") == "True")
            found += [name] * (name == "torch.load" and given.get("weights_only") != "True")
    return found


def test_no_module_runs_what_it_reads():
    found = {str(file.relative_to(ROOT)): offences(file.read_text()) for file in SOURCES}
    assert len(found) > 100
    assert {file: calls for file, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "eval(text)",
        "os.system(name)",
        "subprocess.run(name, shell=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert offences(line)


def test_the_report_escapes_what_it_prints():
    """As `tests/report` shows with names that are HTML; here that it is no single template's."""
    assert "autoescape=True" in Path(page_text.__file__).read_text()


# ---- rules ---------------------------------------------------------------------------------------


def unquoted(text):
    """Placeholders of shell commands that may hold more than one fixed flag or number.

    ``launch`` is srun with numbers (`launcher` in settings.smk).
    """
    found = []
    for rule in re.split(r"(?m)^ *rule ", text)[1:]:
        shell = rule.partition("shell:")[2]
        params = dict(re.findall(r"(?m)^ +(\w+)=(.+?),?$", rule.partition("params:")[2]))
        for name in re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", shell):
            if name.endswith(":q"):
                continue
            _, _, param = name.partition("params.")
            fixed = FLAG.fullmatch(params.get(param, "")) or param in ("threads", "launch")
            found += [] if fixed or name == "threads" else [name]
    return found


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_every_name_in_a_command_is_quoted(file):
    assert not unquoted(file.read_text())


def test_the_search_finds_a_name_without_quotes():
    rule = (
        'rule a:\n    params:\n        x=name,\n    shell:\n        "run {input.film} {params.x}"\n'
    )
    assert unquoted(rule) == ["input.film", "params.x"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a b", "$(id)", "<b>", "a\nb", "", "{x}"])
def test_a_data_sets_name_is_a_folders_name(name):
    with pytest.raises(GibletError, match="dataset"):
        parse_config({"dataset": name})


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc/x", "a/b", "", ".x", "é" * 200, "\0"])
def test_any_name_is_that_of_a_file_in_its_own_folder(name, tmp_path):
    path = tmp_path / "in" / f"{file_name(name)}"
    path.mkdir(parents=True)
    assert path.resolve().parent == (tmp_path / "in").resolve()
    assert len(f"{path.name}.wav".encode()) <= 255


def test_names_that_differ_in_odd_characters_alone_do_not_share_a_file():
    names = ["a/b", "a b", "a-b", "a  b", ".a-b", "x" * 61, "x" * 62]
    assert len({file_name(name) for name in names}) == len(names)


NAMES = ["a b; touch pwned 'x\" $(touch pwned) é.wav", "`touch pwned`\n&& touch pwned.wav"]


@pytest.mark.parametrize("setting", ["film", "annotations", "bold"])
def test_a_name_in_braces_is_no_wildcard(setting, tmp_path):
    """Of a file, that is: data sets have none in their names."""
    settings = {"film": "a.wav", "bold": "none", "annotations": "none", "dataset": "odd"}
    settings |= {setting: "{} {input}.wav"}
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(settings))
    words = ["-s", str(ROOT / "Snakefile"), "--dry-run", "--configfile", "odd.yaml"]
    done = forked_snakemake(tmp_path, words)
    assert done.returncode == 1
    *_, last = done.stdout.strip().splitlines()
    assert last == "'{} {input}.wav': has a brace in its name; rename it"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_film_of_any_name_is_only_a_film(name, tmp_path):
    """Through Snakemake, its shell and giblet: the features are there, and nothing else was run."""
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / name, np.sin(np.arange(48_000) / 9) / 4, 8000, format="WAV")
    settings = {"film": name, "dataset": "odd", "bold": "none", "annotations": "none"}
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    words = ["-s", str(ROOT / "Snakefile"), "--cores", "1", "--configfile", "odd.yaml"]
    target = "results/odd/features/mel.nc"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", target, *words, "--quiet", "all"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    assert (tmp_path / target).is_file()
    assert not list(tmp_path.rglob("pwned"))
    assert {path.name for path in tmp_path.iterdir()} <= {
        name,
        "odd.yaml",
        "results",
        "logs",
        ".snakemake",
    }
