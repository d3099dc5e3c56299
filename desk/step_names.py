"""What staff call a step, a compensation, and the system that it calls."""

from sagas import registry


def staff_name(name: str) -> str:
    """Return the name for staff that its declaration gives; ``name`` itself if this code lacks it."""
    work = registry.find_work(name)
    return work.describe.staff if work else name


def system_name(system: str) -> str:
    """Return a system's name as staff read it: *payment provider*."""
    return system.replace("_", " ")
