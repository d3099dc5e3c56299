"""The repository's own files, for tests that read source code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from config.application import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = PACKAGES

_NOT_OURS = {"var", "__pycache__"}
_HIDDEN_BUT_OURS = {".ci", ".gitignore"}


@dataclass(frozen=True)
class SourceFile:
    """One Python file; ``name`` is its path from the repository's root."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imported_modules(self) -> Iterator[str]:
        """Return the modules of all imports, also of those inside functions."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    yield from (name.name for name in names)
                case ast.ImportFrom(module=str(module)):
                    yield module

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Return every call, with the last part of the called name: ``b`` for ``a.b()``."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
                    yield name, node


def python_files(*packages: str) -> list[SourceFile]:
    """Return the packages' files without migrations."""
    found = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return [_source_file(path) for path in sorted(found) if "migrations" not in path.parts]


@cache
def _source_file(path: Path) -> SourceFile:
    """Return the same object each time: a file is read and parsed once per process."""
    return SourceFile(path)


def all_files(root: Path = ROOT) -> list[Path]:
    """Return all files of the repository, except installed, generated and cached ones."""
    return sorted(_files_below(root))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        is_hidden = path.name.startswith(".") and path.name not in _HIDDEN_BUT_OURS
        if is_hidden or path.name in _NOT_OURS:
            continue
        if path.is_dir():
            yield from _files_below(path)
        elif path.suffix != ".pyc":
            yield path
