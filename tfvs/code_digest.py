"""A digest of the source code that a result depends on, for cache keys."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tfvs", "components", "pipelines")


@functools.cache
def code_digest(*modules: str, root: Path = ROOT) -> str:
    """Digest of modules and of everything of this project that they import, directly or indirectly.

    A package's ``__init__`` counts only where a name is imported from the package itself. Comments, docstrings and
    layout do not count: they cannot change a result. Code that is reached by name alone, such as a ``run_fn``, is given
    as a module.

    Args:
      *modules: Dotted names below ``tfvs``, ``components`` or ``pipelines``.
      root: Folder that holds these packages.

    Returns:
      16 hexadecimal digits.

    Raises:
      ModuleNotFoundError: A module has no source file below the root.

    >>> code_digest("tfvs.errors") == code_digest("tfvs.config")
    False
    """
    digest = hashlib.sha256()
    for module, path in sorted(sources(*modules, root=root).items()):
        digest.update(f"{module}\0{_code(path)}\0".encode())
    return digest.hexdigest()[:16]


def sources(*modules: str, root: Path = ROOT) -> dict[str, Path]:
    """The modules' source files and those of everything of this project that they import.

    Args:
      *modules: As for :func:`code_digest`.
      root: As for :func:`code_digest`.

    Returns:
      Dotted name → source file.

    Raises:
      ModuleNotFoundError: A module has no source file below the root.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        path = _source(module, root)
        if path is None:
            raise ModuleNotFoundError(f"There is no source of {module} below {root}.")
        found[module] = path
        for name in _imports(path):
            dependency = name if _source(name, root) else name.rpartition(".")[0]
            if dependency.split(".")[0] in PACKAGES and _source(dependency, root):
                waiting.append(dependency)
    return found


def _source(module: str, root: Path) -> Path | None:
    """The module's file; a package's is its ``__init__``."""
    if not module:
        return None
    stem = root.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imports(path: Path) -> list[str]:
    """Every name that a file imports, imports inside functions included; ``from a import b`` gives ``a.b``."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _code(path: Path) -> str:
    """The file's syntax tree without docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
