"""The house as designed: imports point down, one clock, nothing unpickled, no global randomness."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from giblet.moved import MOVED

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "giblet"

# Rooms of giblet, from the ground up: a room imports from lower floors, or from itself. A new room
# is placed as low as it honestly can stand.
FLOORS = (
    ("errors", "log", "moved", "timing"),
    ("config", "io", "parallel", "stats", "loss_weighting"),
    ("brain", "film"),
    ("audio",),
    ("alignment", "codec_training", "music"),
    ("autoencoder", "demo", "export"),
    ("evaluation", "report"),
    ("listening_test", "notebook"),
    ("commands",),
    ("__init__", "__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MOST_FLAT, MOST_LINES = 8, 400
CLOCK = {"t_r", "frame_rate", "sample_rate", "fps"}
NUMPY_RANDOM = ("np.random", "numpy.random")
GENERATORS = {"default_rng", "Generator", "SeedSequence"}
# pystoi draws from numpy's global state: it is seeded, and put back as it was. RandomState is a
# generator of its own, and draws the phases that librosa draws
MAY_TOUCH = {
    "giblet.audio.griffin_lim": ["np.random.RandomState"],
    "giblet.audio.metrics.distances": [
        "np.random.get_state",
        "np.random.seed",
        "np.random.set_state",
    ],
}


def room(module):
    """The package, or the module that lies flat in giblet, that a dotted name is in."""
    return module.split(".")[1] if "." in module else "__init__"


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(file): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def offenders(check, names=TREES):
    """Module → what ``check(name)`` finds in it, of those where it finds something."""
    return {name: found for name in names if (found := check(name))}


def imports(tree):
    """Modules of giblet that are imported anywhere in ``tree``, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in TREES else node.module for name in names]
        else:
            continue
        found |= {name for name in names if name.split(".")[0] == "giblet"}
    return found


def upward(name, imported):
    """Those of the imported modules that stand higher, or beside."""
    own = room(name)
    return {i for i in imported if room(i) != own and FLOOR[room(i)] >= FLOOR[own]}


def clock_arithmetic(tree):
    """Multiplications and divisions by something named as the clock's quantities are."""

    def is_clock(node):
        word = getattr(node, "id", getattr(node, "attr", "")).lower()
        return any(word == name or word.endswith(f"_{name}") for name in CLOCK)

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(
            node.op, ast.Mult | ast.Div | ast.FloorDiv | ast.Mod
        ):
            left, right = (
                (node.left, node.right)
                if isinstance(node, ast.BinOp)
                else (node.target, node.value)
            )
            found += [ast.unparse(node)] * (is_clock(left) or is_clock(right))
    return found


def unsafe(tree):
    """Ways to run what a file says, and randomness that is nobody's."""
    found = []
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute) else ""
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        banned = {"pickle", "dill", "joblib", "cloudpickle", "random"}
        found += [f"import {m}" for m in modules if m.split(".")[0] in banned]
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in NUMPY_RANDOM:
            found += [text] * (node.attr not in GENERATORS)
        if isinstance(node, ast.Call):
            keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            found += [text] * (keywords.get("allow_pickle", False) is not False)
            is_load = text.startswith(("torch.load(", "load_from_checkpoint("))
            found += [text] * (is_load and keywords.get("weights_only") is not True)
    return found


def test_every_room_has_its_floor():
    assert {room(name) for name in TREES} | {"__main__"} == FLOOR.keys()


def test_few_modules_lie_flat():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT


def test_imports_point_down_only():
    assert not offenders(lambda name: upward(name, imports(TREES[name])))


def test_no_two_modules_import_each_other():
    graph = {name: imports(tree) - {name} for name, tree in TREES.items()}
    list(TopologicalSorter(graph).static_order())


def test_inside_giblet_names_are_imported_from_their_modules():
    """A package's lazy names are for users: the fingerprint of a rule could not follow them."""
    lazy = {name for name in TREES if (PACKAGE.parent / name.replace(".", "/")).is_dir()}
    assert not offenders(lambda name: imports(TREES[name]) & lazy - {"giblet", "giblet.demo"})


def test_no_name_of_a_package_is_one_of_its_modules_too():
    for stub in PACKAGE.rglob("__init__.pyi"):
        names = {a.asname for n in ast.parse(stub.read_text()).body[1:] for a in n.names}
        modules = {path.stem for path in stub.parent.iterdir()}
        assert not names & modules, stub


def test_no_room_is_called_miscellaneous():
    names = {part for name in TREES for part in name.split(".")}
    assert not names & {"utils", "util", "helpers", "common", "base", "misc", "tools"}


def test_a_module_holds_one_subject():
    assert not offenders(lambda name: len(SOURCES[name].splitlines()) > MOST_LINES)


def test_only_the_clock_multiplies_by_the_clock():
    assert not offenders(lambda name: name != "giblet.timing" and clock_arithmetic(TREES[name]))


def test_nothing_is_unpickled_and_no_random_state_is_shared():
    assert offenders(lambda name: unsafe(TREES[name])) == MAY_TOUCH


def test_every_module_has_a_docstring():
    assert not offenders(lambda name: not ast.get_docstring(TREES[name]))


def test_the_ways_in_import_nothing_heavy():
    code = "import sys, giblet.audio, giblet.commands.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    heavy = {"torch", "transformers", "librosa", "lightning", "nilearn", "av", "matplotlib"}
    assert "giblet.commands.film" in loaded.split()
    assert not heavy & set(loaded.split())


def test_the_model_and_the_page_do_without_transformers():
    """Its import costs each process 100 MB and seconds."""
    code = "import sys, giblet.autoencoder.autoencoder, giblet.report.sections; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "giblet.report.sections" in loaded.split()
    assert "transformers" not in loaded.split()


# These tests must see what they are to see.


def test_an_import_that_points_up_is_seen():
    tree = ast.parse(
        "def f():\n    from giblet.audio import files\n    import giblet.commands.cli\n"
    )
    found = imports(tree)
    assert found == {"giblet.audio.files", "giblet.commands.cli"}
    assert upward("giblet.timing", found) == found
    assert upward("giblet.audio.mel", found) == {"giblet.commands.cli"}


@pytest.mark.parametrize(
    "line",
    ["n = x * t_r", "n = clock.t_r / 2", "n //= self.sample_rate", "n = 3 * FPS", "t % scan_t_r"],
)
def test_clock_arithmetic_is_seen(line):
    assert clock_arithmetic(ast.parse(line))


@pytest.mark.parametrize("line", ["n = t_r + 1", "n = rate * 2", "f(x, t_r)", "[t_r] + [2 * n]"])
def test_other_arithmetic_is_left_alone(line):
    assert not clock_arithmetic(ast.parse(line))


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from random import choice",
        "np.random.seed(0)",
        "np.random.rand(3)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_what_is_unsafe_is_seen(line):
    assert unsafe(ast.parse(line))


@pytest.mark.parametrize(
    "line",
    [
        "np.random.default_rng(0).integers(3)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
    ],
)
def test_what_is_safe_is_left_alone(line):
    assert not unsafe(ast.parse(line))


def shown_modules():
    """Modules that the manual's API pages show, by package."""
    pages = "".join(page.read_text() for page in (ROOT / "notes" / "api").glob("*.md"))
    modules = set(re.findall(r"^::: (giblet\.\w+\.[\w.]+)$", pages, re.M))
    return {module for module in modules if module in TREES}


def test_what_the_api_pages_show_is_importable_from_its_package():
    for module in shown_modules():
        package = ".".join(module.split(".")[:2])
        defined = {
            n.name for n in TREES[module].body if isinstance(n, ast.FunctionDef | ast.ClassDef)
        }
        public = {name for name in defined if not name.startswith("_")}
        assert not public - {*importlib.import_module(package).__all__}, module
    assert len(shown_modules()) > 20


def test_an_old_path_names_the_new_one():
    for old, new in MOVED.items():
        assert f"giblet.{old}" not in SOURCES
        assert f"giblet.{new}" in SOURCES
        package = old.split(".")[0]  # the first that is not found
        named = package if package in MOVED and f"giblet.{package}" not in SOURCES else old
        message = f"^giblet.{named} is giblet.{MOVED[named]} now: import it from there$"
        with pytest.raises(ModuleNotFoundError, match=message):
            importlib.import_module(f"giblet.{old}")
