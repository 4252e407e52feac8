"""Which code made a result: a fingerprint of the modules a verb uses."""

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).parent


def source_fingerprint(verb: str) -> str:
    """Hash of a verb's own lines and of every giblet module it imports, directly or not.

    Templates of pages count with the modules beside them.

    Editing the code then reruns exactly the rules that use it.

    Raises
    ------
    ValueError
        There is no such verb.
    """
    source, functions = _verb_file(verb)
    nodes, waiting = {}, [verb.split()[-1]]
    while waiting:  # the verb and the functions beside it that it calls
        name = waiting.pop()
        nodes[name] = functions[name]
        names = {n.id for n in ast.walk(functions[name]) if isinstance(n, ast.Name)}
        waiting += [n for n in names & functions.keys() if n not in nodes]
    used = set().union(*(_imports(node) for node in nodes.values()))
    digest = hashlib.sha256()
    for name in sorted(nodes):
        digest.update(ast.get_source_segment(source, nodes[name]).encode())
    modules = _closure(used)
    templates = {file for module in modules for file in module.parent.glob("*.jinja")}
    for file in sorted(modules | templates):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _verb_file(verb: str) -> tuple[str, dict[str, ast.FunctionDef]]:
    """Source of the file that holds ``verb``, and the functions in it by name."""
    *group, name = verb.split()
    folder, known = _PACKAGE.joinpath(*group), []
    for file in (*sorted(folder.glob("verbs/*.py")), *folder.glob("verbs.py")):
        source = file.read_text()
        functions = {n.name: n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}
        if name in functions:
            return source, functions
        known += functions
    raise ValueError(f"{verb} is not a verb; there are {', '.join(known)}")


def _closure(modules: set[Path]) -> set[Path]:
    """These modules and all that they import inside giblet."""
    known: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in known:
            known.add(module)
            waiting += _module_imports(module)
    return known


@lru_cache
def _module_imports(module: Path) -> frozenset[Path]:
    return frozenset(_imports(ast.parse(module.read_text())))


def _imports(node: ast.AST) -> set[Path]:
    """Files of the giblet modules imported anywhere below ``node``."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("giblet"):
            names = [inner.module, *(f"{inner.module}.{a.name}" for a in inner.names)]
        elif isinstance(inner, ast.Import):
            names = [a.name for a in inner.names if a.name.startswith("giblet")]
        else:
            continue
        found |= {file for name in names if (file := _file(name))}
    return found


def _file(module: str) -> Path | None:
    place = _PACKAGE.joinpath(*module.split(".")[1:])
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None
