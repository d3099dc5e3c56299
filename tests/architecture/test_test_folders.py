"""Test folders share helpers through tests/support, and through nothing else."""

import re

import pytest

import tests.support
from tests.support.scheduling import LONGEST_FILES
from tests.support.source_files import ROOT, python_files


def test_no_test_folder_imports_from_another() -> None:
    imports = [
        (source.name, module)
        for source in python_files("tests")
        for module in source.imported_modules()
    ]

    assert ("tests/conftest.py", "tests.support.shop") in imports
    assert [found for found in imports if crosses_folders(*found)] == []


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("tests/desk/test_crawl.py", "tests.access.test_route_matrix"),
        ("tests/desk/test_crawl.py", "tests.conftest"),
        ("tests/support/shop.py", "tests.conftest"),
        ("tests/support/shop.py", "tests.desk.conftest"),
    ],
)
def test_an_import_across_folders_is_found(file: str, module: str) -> None:
    assert crosses_folders(file, module)


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("tests/desk/test_crawl.py", "tests.support.shop"),
        ("tests/desk/test_crawl.py", "tests.desk.test_roles"),
        ("tests/support/shop.py", "tests.support.clock"),
        ("tests/conftest.py", "tests.support.shop"),
        ("tests/desk/test_crawl.py", "desk.roles"),
    ],
)
def test_an_import_of_support_or_of_the_same_folder_is_allowed(file: str, module: str) -> None:
    assert not crosses_folders(file, module)


def test_every_file_that_runs_first_exists() -> None:
    assert [file for file in LONGEST_FILES if not (ROOT / file).is_file()] == []


def test_the_table_of_helpers_names_every_module() -> None:
    modules = {path.stem for path in (ROOT / "tests/support").iterdir() if path.stem[0] != "_"}

    assert set(re.findall(r"``(\w+)``", tests.support.__doc__ or "")) >= modules


def crosses_folders(file: str, module: str) -> bool:
    """Return whether a test file imports a module of tests that is neither support nor its own."""
    root, folder, *_ = [*module.split("."), ""]
    own_folder = file.split("/")[1]
    return root == "tests" and folder not in ("support", own_folder)
