"""Digests of files and of source code.

Snakemake does not see edits to imported modules. A rule therefore carries the digest of its stage's source among its
parameters: the syntax tree of the stage's module and of every module of ours below it, without comments and
docstrings. Plumbing is left out, because it cannot change what a stage computes.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
PLUMBING = {"artifacts", "cli", "digest", "engine", "errors", "kinds", "writing", "__main__"}


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def source_digest(*modules: str) -> str:
    """Digest of modules of this package (``features.pose``) and of those that they import, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(set().union(*map(closure, modules))):
        digest.update(f"{name}\n{_bare_source(module_path(name))}\n".encode())
    return digest.hexdigest()[:12]


def closure(module: str) -> set[str]:
    """The module and every module of ours that it imports, directly or not, plumbing left out."""
    found: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in found or name.split(".")[0] in PLUMBING or module_path(name) is None:
            continue
        found.add(name)
        todo += _imports(name)
    return found


def module_path(module: str) -> Path | None:
    """The file of a module of this package, or None."""
    base = PACKAGE.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imports(module: str) -> list[str]:
    """Modules of this package named in a module's import statements, lazy ones included."""
    path = module_path(module)
    here = [PACKAGE.name, *module.split(".")]
    package = here if path.name == "__init__.py" else here[:-1]
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [n.removeprefix(f"{PACKAGE.name}.") for n in names if n.startswith(f"{PACKAGE.name}.")]


def _bare_source(path: Path) -> str:
    """The syntax tree of a file, without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body.pop(0)
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
