"""The code of a command as a fingerprint of the definitions that it reaches.

A rule has the fingerprint of its command among its ``params``, so Snakemake reruns it when code
that it uses changes. What cannot change a number is left out: comments, docstrings, annotations,
import lines, the module that a definition is in, and the modules of `WITHOUT_NUMBERS`.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
WITHOUT_NUMBERS = ("errors.py", "log.py", "commands/process.py")  # they print and log
PREFIX = "giblet"
GROUPS = ("codec", "listening_test", "music")  # modules whose commands have two words
SETTINGS = "config/"  # values of settings are among a rule's params: here only methods count
_VALIDATORS = ("field_validator", "model_validator")
ENTRIES = ("FeatureType", "Metric", "Modality")  # of tables that also hold words for the report
WORDS = ("label", "method", "note", "reference", "unscored", "vocoder")
WITH_WORDS = ("report",)  # commands that write them

Reference = tuple[Path, str]  # a module, and a name that is defined in it
Imports = dict[str, tuple[str, str | None]]  # name → module, and what of it


@dataclass(frozen=True)
class Module:
    """A module's definitions and imports by name, and its other statements.

    Statements are without what cannot change a result; ``local`` has the imports in a definition.
    """

    file: Path
    definitions: dict[str, list[ast.stmt]]  # ``TABLE["x"] = f`` belongs to that of TABLE
    imports: Imports
    local: dict[str, Imports]
    others: list[ast.stmt]


def source_fingerprint(command: str) -> str:
    """Hash of every giblet definition that ``command`` reaches, however indirectly.

    Templates of pages count with the modules beside them.

    Raises
    ------
    ValueError
        There is no such command.
    """
    reached = reached_definitions(command)
    digest = hashlib.sha256()
    files = {file for file, _name in reached}
    words = command in WITH_WORDS
    texts = {_text(*reference, words) for reference in reached}
    for text in sorted(texts.union(*(_other_texts(file, words) for file in files))):
        digest.update(text.encode())
    for file in sorted({t for module in files for t in module.parent.glob("*.jinja")}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def reached_definitions(command: str) -> set[Reference]:
    """Functions, classes and constants that ``command`` reaches, by module and name."""
    waiting, reached = [_command(command)], set()
    config = PACKAGE / "config" / "config.py"
    if config.is_file():  # made before the command begins
        waiting.append((config, "Config"))
    while waiting:
        reference = waiting.pop()
        if reference in reached:
            continue
        reached.add(reference)
        waiting += _references(*reference)
    return reached


def _command(command: str) -> Reference:
    """The function of ``command``; that of ``codec train`` is in ``codec.py``, for instance."""
    *group, name = command.split()
    valid = []
    for file in sorted((PACKAGE / "commands").glob("*.py")):
        functions = [n for n, d in _module(file).definitions.items() if _is_function(d[0])]
        valid += functions
        if name in functions and group == [file.stem] * (file.stem in GROUPS):
            return file, name
    raise ValueError(f"{command} is not a command; there are {', '.join(valid)}")


def _is_function(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("_")


@cache
def _module(file: Path) -> Module:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = Module(file, {}, _imports(tree), {}, [])
    plain = _Plain(is_settings=_within(file).startswith(SETTINGS))
    for node in tree.body:
        if names := _defined(node):
            module.local.update(dict.fromkeys(names, _imports(node)))
            module.definitions.update({name: [node] for name in names})
            plain.visit(node)
        elif (table := _extended(node)) in module.definitions:
            module.definitions[table].append(plain.visit(node))
        elif not _is_silent(node):
            module.others.append(plain.visit(node))
    return module


def _defined(node: ast.stmt) -> list[str]:
    """Names that a statement binds; none for a part of something, as ``TABLE["x"] = f`` sets."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        bound = [part for target in targets for part in getattr(target, "elts", [target])]
        return [part.id for part in bound if isinstance(part, ast.Name)]
    return []


def _extended(node: ast.stmt) -> str:
    """The name of which a statement sets a part; empty if it does not."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    whole = [target.value for target in targets if isinstance(target, ast.Subscript)]
    return next((value.id for value in whole if isinstance(value, ast.Name)), "")


def _is_silent(node: ast.stmt) -> bool:
    """Imports, docstrings, and what only a type checker reads."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _imports(tree: ast.AST) -> Imports:
    """Names that imports anywhere below ``tree`` bind to giblet's modules or parts of them."""
    names: Imports = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            names |= {a.asname or a.name: (str(node.module), a.name) for a in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(PREFIX):
                    names[alias.asname or alias.name] = (alias.name, None)
    return names


def _file(module: str) -> Path | None:
    place = PACKAGE.joinpath(*module.split(".")[1:])
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def _references(file: Path, name: str) -> frozenset[Reference]:
    """References of one definition, and of the module's other statements."""
    module = _module(file)
    nodes = module.definitions[name]
    return _others(file).union(*(_below(node, module, module.local[name]) for node in nodes))


@cache
def _others(file: Path) -> frozenset[Reference]:
    module = _module(file)
    return frozenset().union(*(_below(node, module, {}) for node in module.others))


def _below(node: ast.AST, module: Module, local: Imports) -> frozenset[Reference]:
    references: list[Reference] = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            if (whole := _whole_module(_dotted(inner.value), module, local)) is not None:
                references += _resolve(whole, inner.attr)
        elif isinstance(inner, ast.Name):
            if inner.id in local:
                references += _imported(*local[inner.id])
            elif inner.id in module.definitions:
                references.append((module.file, inner.id))
            elif inner.id in module.imports:
                references += _imported(*module.imports[inner.id])
    return frozenset((f, n) for f, n in references if _within(f) not in WITHOUT_NUMBERS)


def _dotted(node: ast.expr) -> str:
    """``a.b`` of names and attributes; of anything else nothing that is a name."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _within(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def _whole_module(name: str, module: Module, local: Imports) -> Path | None:
    """The file of the module that ``name`` stands for, if it does."""
    target = (module.imports | local).get(name)
    if target is None:
        return None
    return _file(target[0] if target[1] is None else f"{target[0]}.{target[1]}")


def _imported(module: str, name: str | None) -> list[Reference]:
    """The definition of an imported name; none if it is a module, whose attributes count."""
    file = _file(module)
    return [] if name is None or file is None else _resolve(file, name)


def _resolve(file: Path, name: str) -> list[Reference]:
    """The definition of ``name`` of a module: there, or where it imports it from."""
    module = _module(file)
    if name in module.definitions:
        return [(file, name)]
    return _imported(*module.imports[name]) if name in module.imports else []


@cache
def _text(file: Path, name: str, words: bool) -> str:
    return "\n".join(_unparsed(node, words) for node in _module(file).definitions[name])


@cache
def _other_texts(file: Path, words: bool) -> frozenset[str]:
    return frozenset(_unparsed(node, words) for node in _module(file).others)


def _unparsed(node: ast.stmt, words: bool) -> str:
    text = ast.unparse(node)
    if words or not any(entry in text for entry in ENTRIES):
        return text
    return ast.unparse(_WithoutWords().visit(ast.parse(text)))


class _WithoutWords(ast.NodeTransformer):
    """Leaves out the words of table entries, which only the report writes."""

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ENTRIES:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in WORDS]
        return node


class _Plain(ast.NodeTransformer):
    def __init__(self, is_settings: bool):
        self._is_settings = is_settings

    def visit_Import(self, node):
        return None

    visit_ImportFrom = visit_Import

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_FunctionDef(self, node):
        if self._is_settings and any(
            v in ast.unparse(d) for d in node.decorator_list for v in _VALIDATORS
        ):
            return None
        node.returns = None
        return self._without_docstring(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        if self._is_settings:
            node.body = [n for n in node.body if not isinstance(n, ast.AnnAssign | ast.Assign)]
        return self._without_docstring(node)

    def _without_docstring(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node
