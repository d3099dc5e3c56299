"""The events that the code logs are those that docs/monitoring.md explains."""

import ast
import re

from tests.support.source_files import APPLICATION, ROOT, python_files

LEVELS = {
    **{level: level for level in ("info", "warning", "error", "critical")},
    "exception": "error",
}


def logged() -> set[tuple[str, str]]:
    """Each event and its level, as the application's own code says it."""
    found = set()
    for file in python_files(*APPLICATION):
        for name, call in file.calls():
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log")),
                    args=[ast.Constant(value=str(event))],
                ):
                    found.add((event, LEVELS[name]))
    return found


def documented() -> set[tuple[str, str]]:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    _, _, below = page.partition("| event | level | means |\n")
    found = set()
    for row in below.partition("\n\n")[0].splitlines()[1:]:
        _, first, second, _ = row.split("|", 3)
        events, levels = re.findall(r"`([\w.]+)`", first), second.strip().split(", ")
        if len(levels) == 1:
            levels *= len(events)
        found |= set(zip(events, levels, strict=True))
    return found


def loggers() -> set[str]:
    """The names by which the application's code knows its loggers."""
    return {
        ast.unparse(target)
        for file in python_files(*APPLICATION)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("logging.getLogger(")
        for target in node.targets
    }


def test_every_event_is_documented_with_its_level_and_every_documented_one_is_logged() -> None:
    assert logged() == documented()


def test_every_logger_is_called_log_so_that_no_event_is_overlooked() -> None:
    assert loggers() == {"log"}
