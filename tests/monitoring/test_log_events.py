"""The events that the code logs are those that docs/monitoring.md explains."""

import ast
import re

from tests.support.source_files import APPLICATION, ROOT, python_files

LEVELS = {
    **{level: level for level in ("info", "warning", "error", "critical")},
    "exception": "error",
}


def logged() -> set[tuple[str, str]]:
    """Return each event that the application logs, with its level."""
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
    _, _, table = page.partition("| event | level | means |\n")
    found = set()
    for row in table.partition("\n\n")[0].splitlines()[1:]:
        _, first, second, _ = row.split("|", 3)
        events, levels = re.findall(r"`([\w.]+)`", first), second.strip().split(", ")
        if len(levels) == 1:
            levels *= len(events)
        found |= set(zip(events, levels, strict=True))
    return found


def loggers() -> set[str]:
    """Return the names of the variables of loggers in the application."""
    return {
        ast.unparse(target)
        for file in python_files(*APPLICATION)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("logging.getLogger(")
        for target in node.targets
    }


def test_the_documented_events_are_those_that_are_logged() -> None:
    assert logged() == documented()


def test_every_logger_is_named_log() -> None:
    assert loggers() == {"log"}
