"""The files in which the processes of a host store their counters, one set for each process.

``prometheus_client`` adds them up and never deletes the files of ended processes. Deleting them is
wrong: a counter that falls looks like a restart, and its whole value like an increase. So this
module adds the files of ended processes up into one set.
"""

import os
import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

ENDED: Final = "ended"
"""In the name of a file with sums, in the place of the host and id of a process."""

OURS: Final = '["holdfast_'
"""The beginning of the keys of our own metrics: JSON, the name first."""

_HOST: Final = platform.node().replace("_", "-")


def count_in_files(folder: Path) -> None:
    """Make this process and its children count in files of their own in ``folder``.

    Call it before any metric is declared. The names contain the host: containers may share the
    folder and have processes with the same ids.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values.ValueClass = values.MultiProcessValue(lambda: f"{_HOST}-{os.getpid()}")


def fold_ended(folder: Path) -> int:
    """Add the files of this host's ended processes to the files of sums; return how many there were.

    Only one caller at a time. A crash in the middle may count some files twice.
    """
    ended = defaultdict(list)
    for file in folder.glob("*_*.db"):
        kind, _, process = file.stem.rpartition("_")
        host, _, number = process.rpartition("-")
        if host == _HOST and not _is_alive(int(number)):
            ended[kind].append(file)
    for kind, files in ended.items():
        sums = folder / f"{kind}_{ENDED}.db"
        new_sums = folder / f"{kind}_{ENDED}.new"
        # The gauges of an ended process are no longer true.
        is_counted = not kind.startswith("gauge")
        if is_counted:
            _write_sums(new_sums, [*files, *([sums] if sums.exists() else [])])
        for file in files:
            file.unlink()
        if is_counted:
            new_sums.replace(sums)
    return sum(map(len, ended.values()))


def _write_sums(new_sums: Path, files: Iterable[Path]) -> None:
    sums: dict[str, float] = defaultdict(float)
    for file in files:
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):
            # Flower's keys contain names of workers, so each deploy of containers would add some.
            if key.startswith(OURS):
                sums[key] += value
    new_sums.unlink(missing_ok=True)
    values = MmapedDict(str(new_sums))
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
