"""Our own source as data: every module of both packages with its syntax tree, its imports and its functions."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "minivec", ROOT / "server" / "minivec_server")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Import:
    """One imported dotted name, and whether it is imported while the module itself is being imported."""

    name: str
    at_import: bool
    for_types_only: bool


@dataclass(frozen=True)
class Function:
    """One function: where, its lines of code without blanks, comments and docstring, and whether a reader calls it."""

    where: str
    lines: int
    public: bool
    documented: bool


class Module:
    """One source file."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, filename=str(path))
        self.is_package = path.name == "__init__.py"
        parts = path.relative_to(root.parent).with_suffix("").parts
        self.name = ".".join(parts[:-1] if self.is_package else parts)

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def imports(self) -> list[Import]:
        """Every import in the file, wherever it stands."""
        return list(self._imports(self.tree, at_import=True, for_types_only=False))

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method in the file, nested ones too."""
        code = self._code_lines()
        return list(self._functions(self.tree, code, owner="", public=True))

    def run_at_import(self) -> Iterator[ast.AST]:
        """Every node that runs while the module is imported: all but the bodies of functions."""
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, (*FUNCTIONS, ast.Lambda)):
                defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
                waiting += [*defaults, *getattr(node, "decorator_list", [])]
            else:
                waiting += ast.iter_child_nodes(node)

    def _imports(self, node: ast.AST, *, at_import: bool, for_types_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, at_import, for_types_only) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                yield from (Import(f"{base}.{alias.name}", at_import, for_types_only) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                yield from self._imports(child, at_import=False, for_types_only=True)
            else:
                inside = isinstance(child, FUNCTIONS)
                yield from self._imports(child, at_import=at_import and not inside, for_types_only=for_types_only)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        package = package[: len(package) - node.level + self.is_package]
        return ".".join([*package, node.module] if node.module else package)

    def _functions(self, node: ast.AST, code: set[int], *, owner: str, public: bool) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTIONS):
                name = f"{owner}{child.name}"
                lines = sum(1 for number in range(child.lineno, (child.end_lineno or 0) + 1) if number in code)
                open_name = public and not child.name.startswith("_")
                documented = ast.get_docstring(child) is not None
                yield Function(f"{self.name}:{child.lineno} {name}", lines, open_name, documented)
                yield from self._functions(child, code, owner=f"{name}.", public=False)
            elif isinstance(child, ast.ClassDef):
                open_class = public and not child.name.startswith("_")
                yield from self._functions(child, code, owner=f"{owner}{child.name}.", public=open_class)
            else:
                yield from self._functions(child, code, owner=owner, public=public)

    def _code_lines(self) -> set[int]:
        numbers: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in LAYOUT:
                numbers.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(node) is not None:
                numbers.difference_update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
        return numbers


def modules() -> list[Module]:
    """Every module of minivec and minivec_server."""
    return [Module(path, root) for root in PACKAGES for path in sorted(root.rglob("*.py"))]


def edges(found: list[Module], *, only_at_import: bool) -> dict[str, set[str]]:
    """Module to our modules it imports; `from a.b import c` points to a.b.c when that is a file, else to a.b."""
    known = {module.name for module in found}
    graph: dict[str, set[str]] = {module.name: set() for module in found}
    for module in found:
        for one in module.imports:
            if one.for_types_only or (only_at_import and not one.at_import):
                continue
            name = one.name
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name and name != module.name:
                graph[module.name].add(name)
    return graph


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle as the modules along it, [] when there is none."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        cycle = _walk(start, graph, path, done)
        if cycle:
            return cycle
    return []


def _walk(node: str, graph: dict[str, set[str]], path: list[str], done: set[str]) -> list[str]:
    if node in path:
        return [*path[path.index(node) :], node]
    if node in done:
        return []
    path.append(node)
    for target in sorted(graph[node]):
        cycle = _walk(target, graph, path, done)
        if cycle:
            return cycle
    path.pop()
    done.add(node)
    return []
