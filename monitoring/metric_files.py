"""The files in which the processes of a host keep their counters, one set to each process.

``prometheus_client`` adds them up. It never removes those of a process that has ended, and it must
not: a counter that falls looks like a restart, and its whole value like an increase. So what ended
processes have counted is added up here, into one set of files.
"""

import os
import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

GONE: Final = "gone"
"""Stands in a file's name where a living process's host and id are."""

OURS: Final = '["holdfast_'
"""How the keys of what we count begin: JSON, the name first."""

_HOST: Final = platform.node().replace("_", "-")


def count_in_files(folder: Path) -> None:
    """Have all that this process and its children count written into files of their own there.

    To be called before anything is declared that counts. Host names tell the processes of
    containers apart, which may share a folder and have the same ids.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values.ValueClass = values.MultiProcessValue(lambda: f"{_HOST}-{os.getpid()}")


def fold_ended(folder: Path) -> int:
    """Add the files of this host's ended processes into those of GONE; return how many there were.

    For one caller at a time. Killed in the middle of it, it may leave counters that were folded
    twice, once, for this host.
    """
    ended = defaultdict(list)
    for file in folder.glob("*_*.db"):
        kind, _, process = file.stem.rpartition("_")
        host, _, number = process.rpartition("-")
        if host == _HOST and not _is_alive(int(number)):
            ended[kind].append(file)
    for kind, files in ended.items():
        sums = folder / f"{kind}_{GONE}.db"
        fresh = folder / f"{kind}_{GONE}.new"
        # A gauge was true of a process that is no more.
        is_counted = not kind.startswith("gauge")
        if is_counted:
            _write_sums(fresh, [*files, *([sums] if sums.exists() else [])])
        for file in files:
            file.unlink()
        if is_counted:
            fresh.replace(sums)
    return sum(map(len, ended.values()))


def _write_sums(fresh: Path, files: Iterable[Path]) -> None:
    sums: dict[str, float] = defaultdict(float)
    for file in files:
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):
            # Flower's have workers' names in them: with each deploy of containers there would be more.
            if key.startswith(OURS):
                sums[key] += value
    fresh.unlink(missing_ok=True)
    values = MmapedDict(str(fresh))
    for key, value in sums.items():
        values.write_value(key, value, 0.0)
    values.close()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
