"""The names that staff see for steps, compensations and the systems that they call."""

from sagas.queries.definitions import find_work


def staff_name(name: str) -> str:
    """Return the name for staff that a step declares; ``name`` itself for an unknown step."""
    work = find_work(name)
    return work.describe.staff if work else name


def system_name(system: str) -> str:
    """Return a system's name as staff see it, such as "payment provider"."""
    return system.replace("_", " ")
