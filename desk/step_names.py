"""What staff call a step or a compensation."""

from sagas import registry


def staff_name(name: str) -> str:
    """Return the name for staff that its declaration gives; ``name`` itself if this code lacks it."""
    work = registry.find_work(name)
    return work.describe.staff if work else name
