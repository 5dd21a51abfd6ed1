"""What the plugin's code must not do: rules of plugins.qgis.org, of Qt 6, and of our own design.

The rules read the syntax tree, so they need neither QGIS nor Qt.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_PYTHON = (3, 9)
"""The Python of QGIS 3.22 on Windows; its grammar must read every file."""

ALLOWED_ROOTS = frozenset(sys.stdlib_module_names) | {"qgis", "processing", "osgeo"}
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile", "__import__"})
FORBIDDEN_MODULES = frozenset({"pickle", "marshal", "shelve", "imp"})
SHELL_CALLS = frozenset({("os", "system"), ("os", "popen")})
QT5_METHODS = frozenset({"exec_", "print_"})


@dataclass(frozen=True, order=True)
class Finding:
    """A line that breaks a rule."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def lint_folder(folder: Path) -> list[Finding]:
    """All findings in the Python files of a plugin folder."""
    return sorted(
        finding for path in sorted(folder.rglob("*.py")) for finding in lint_file(path, root=folder)
    )


def lint_file(path: Path, *, root: Path) -> list[Finding]:
    """The findings in one file; files under ``engine/`` must do without QGIS."""
    pure = "engine" in path.relative_to(root).parts[:-1]
    found = lint_source(path.read_text(encoding="utf-8"), without_qgis=pure)
    return [Finding(path, line, message) for line, message in found]


def lint_source(source: str, *, without_qgis: bool = False) -> list[tuple[int, str]]:
    """Line and message of each finding in a source text."""
    try:
        tree = ast.parse(source, feature_version=OLDEST_PYTHON)
    except SyntaxError as err:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return [(err.lineno or 1, f"Python {oldest} cannot read this: {err.msg}")]
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        found.extend(
            (getattr(node, "lineno", 1), message) for message in _node(node, without_qgis=without_qgis)
        )
    found.extend(_enums(tree))
    return sorted(found)


def _node(node: ast.AST, *, without_qgis: bool) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from _import(alias.name, without_qgis=without_qgis)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield from _import(node.module or "", without_qgis=without_qgis)
    elif isinstance(node, ast.ExceptHandler):
        if node.type is None:
            yield "bare except; name the errors"
        broad = isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
        if broad and len(node.body) == 1 and isinstance(node.body[0], ast.Pass):
            yield "every error is swallowed (except Exception: pass)"
    elif isinstance(node, ast.Assert):
        yield "assert; raise an error"
    elif isinstance(node, ast.Raise) and any(_is_text(text) for text in getattr(node.exc, "args", ())):
        yield "an error's text that cannot be translated; give it to tr()"


def _is_text(node: ast.AST) -> bool:
    """True for a text as it stands, with values in it or without."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _call(node: ast.Call) -> Iterator[str]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
        yield f"{function.id}()"
    if isinstance(function, ast.Attribute):
        if isinstance(function.value, ast.Name) and (function.value.id, function.attr) in SHELL_CALLS:
            yield f"{function.value.id}.{function.attr}() starts a shell"
        if function.attr in QT5_METHODS:
            yield f".{function.attr}() is gone in Qt 6; use .{function.attr.rstrip('_')}()"
    for keyword in node.keywords:
        if keyword.arg == "shell" and not (
            isinstance(keyword.value, ast.Constant) and not keyword.value.value
        ):
            yield "shell=True"


def _import(module: str, *, without_qgis: bool) -> Iterator[str]:
    root = module.split(".", maxsplit=1)[0]
    if root in FORBIDDEN_MODULES:
        yield f"import of {root}"
    elif root in {"PyQt5", "PyQt6"}:
        yield f"import of {root}; import from qgis.PyQt"
    elif root not in ALLOWED_ROOTS:
        yield f"import of {root}: neither Python's own nor QGIS's"
    elif without_qgis and root in {"qgis", "processing"}:
        yield f"import of {root} in engine/, which must run without QGIS"


def _enums(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """``Qt.AlignTop``: Qt 6 knows only ``Qt.AlignmentFlag.AlignTop``, Qt 5 knows both."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    # What is called is a class in a class.
    inner |= {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner |= {id(getattr(node, "annotation", None)) for node in ast.walk(tree)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and id(node) not in inner
            and isinstance(node.value, ast.Name)
            and node.value.id.startswith("Q")
            and node.attr[0].isupper()
            and not node.attr.isupper()
        ):
            yield node.lineno, f"{node.value.id}.{node.attr} lacks the name of its enum"
