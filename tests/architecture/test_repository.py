"""No file names a path of one machine, and every link of a document leads to a file."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.source_files import ROOT, all_files

OF_ONE_MACHINE = re.compile(
    r"/(?:work|root|Users|home(?!/me/))/|pypi\.org|pythonhosted\.org|--(?:extra-)?index-url"
)
"""Home folders and package registries."""

LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)")
ELSEWHERE = re.compile(r"[a-z]+:|//|#")


def test_no_file_names_a_path_or_registry_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in all_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if OF_ONE_MACHINE.search(line)
    ]

    assert found == []


def test_every_relative_link_of_a_document_leads_to_a_file() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in all_files()
        if document.suffix == ".md"
        for target in relative_links(document.read_text())
        if not exists(document, target)
    ]

    assert broken == []


def test_only_relative_links_are_checked() -> None:
    text = "[a](docs/a.md), [b](https://example.com/b), ![c](c.png), [d](#part), [e](../e.md#part)"

    assert list(relative_links(text)) == ["docs/a.md", "c.png", "../e.md#part"]


def test_a_link_is_relative_to_its_document(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").touch()

    assert exists(tmp_path / "README.md", "docs/a.md#part")
    assert exists(tmp_path / "README.md", "docs")
    assert not exists(tmp_path / "docs" / "a.md", "docs/a.md")


def relative_links(text: str) -> Iterator[str]:
    for target in LINK.findall(text):
        if not ELSEWHERE.match(target):
            yield target


def exists(document: Path, target: str) -> bool:
    return (document.parent / target.partition("#")[0]).exists()
