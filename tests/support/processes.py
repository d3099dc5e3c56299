"""What /proc says of other processes: whether they run, whose they are, where they run."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Return whether a process runs. A process that has ended and was not reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def owner_of(pid: int) -> int:
    """Return the user id that a process runs under."""
    return Path(f"/proc/{pid}").stat().st_uid


def processes_of(folder: Path, mark: str) -> dict[int, str]:
    """Return command lines by process id: what runs in a folder, or has ``mark`` in its environment."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            is_marked = mark.encode() in (process / "environ").read_bytes()
            is_inside = (process / "cwd").readlink().is_relative_to(folder)
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue  # not a process, or gone meanwhile
        if (is_marked or is_inside) and is_alive(int(process.name)):
            found[int(process.name)] = command
    return found
