"""Samples with py-spy where web and workers spend their CPU time under load."""

import asyncio
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

PROGRAMS: Final = ("web", "worker-checkout", "worker-settlement")
SECONDS: Final = 8
SHOWN: Final = 25

# A sample belongs to the innermost frame that matches one of these. So a library is charged with
# the time that it spends in the standard library.
GROUPS: Final[Mapping[str, re.Pattern[str]]] = {
    "psycopg": re.compile(r"psycopg"),
    "Django's ORM and connections": re.compile(r"django/db/"),
    "Celery, kombu, redis": re.compile(r"(?:^|/)(?:celery|kombu|redis|amqp|vine|billiard)/"),
    "Stripe and HTTP to it": re.compile(r"(?:^|/)(?:stripe|urllib3)/"),
    "REST framework, pydantic, knox": re.compile(r"(?:^|/)(?:rest_framework|pydantic|knox)/"),
    "gunicorn": re.compile(r"(?:^|/)gunicorn/"),
    "Django, the rest": re.compile(r"(?:^|/)django/"),
    "sagas": re.compile(r"(?:^|/)sagas/"),
    "orders, payments, inventory, events": re.compile(
        r"(?:^|/)(?:orders|payments|inventory|events|config)/"
    ),
}
ELSE: Final = "the interpreter and its library"

# A thread that has nothing to do is in one of these frames; it is no sample.
WAITING: Final = re.compile(
    r"(?:wait \(.*/threading|_worker \(.*/futures/thread|select \(.*/selectors|poll \(.*/eventio"
    r"|wait_for_signals \(.*/arbiter)\.py"
)

_FRAME: Final = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::\d+)?\)")

Stacks = Mapping[tuple[str, ...], int]


class ProfilerFailed(Exception):
    """py-spy could not trace a process: it may need more rights."""


async def sampled(pids: Mapping[str, int], folder: Path) -> dict[str, Any]:
    """Sample all programs at the same time, and return a summary of each.

    Leaves the stacks in ``folder``, in the format that flame graphs are made from. Raises
    ProfilerFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {program: folder / f"{program}.stacks" for program in PROGRAMS}
    await asyncio.gather(*(_record(pids[name], file) for name, file in files.items()))
    return {name: summary(stacks(file.read_text().splitlines())) for name, file in files.items()}


async def _record(pid: int, file: Path) -> None:
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        raise ProfilerFailed("py-spy is not installed")
    words = [spy, "record", "--pid", str(pid), "--subprocesses", "--nonblocking"]
    words += ["--duration", str(SECONDS), "--rate", "200", "--full-filenames", "--function"]
    process = await asyncio.create_subprocess_exec(
        *words,
        *("--format", "raw", "--output", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        raise ProfilerFailed(errors.decode().strip()[-500:])


def stacks(lines: Iterable[str]) -> Stacks:
    """Read lines of `frame;frame;… count`, outermost first, without stacks of waiting threads."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        frames, _, count = line.rpartition(" ")
        stack = tuple(frames.split(";"))
        if frames and not WAITING.search(stack[-1]):
            found[stack] += int(count)
    return found


def summary(found: Stacks) -> dict[str, Any]:
    """Return shares of all samples by group and by function, without and with what it calls."""
    total = sum(found.values())
    groups: Counter[str] = Counter()
    own: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    for frames, count in found.items():
        groups[group(frames)] += count
        own[_name(frames[-1])] += count
        for name in {_name(frame) for frame in frames}:
            with_callees[name] += count
    return {
        "samples": total,
        "groups": {name: count / total for name, count in groups.most_common()},
        "own": {name: count / total for name, count in own.most_common(SHOWN)},
        "with what they call": {
            name: count / total for name, count in with_callees.most_common(2 * SHOWN)
        },
    }


def group(frames: tuple[str, ...]) -> str:
    """Return the group that a sample belongs to."""
    for frame in reversed(frames):
        parts = _FRAME.fullmatch(frame)
        path = parts["file"] if parts else ""
        for name, pattern in GROUPS.items():
            if pattern.search(path.rpartition("site-packages/")[2]):
                return name
    return ELSE


def _name(frame: str) -> str:
    """Return a function with the last two parts of its file's path."""
    parts = _FRAME.fullmatch(frame)
    if parts is None:
        return frame
    return f"{parts['function']} ({'/'.join(Path(parts['file']).parts[-2:])})"
