"""What the registered sagas say of a step, a compensation or a rejection, by its name."""

from functools import lru_cache

from sagas import registry
from sagas.definition import Saga, Step
from sagas.descriptions import RejectionText
from sagas.work import Remote, Work


def find_work(name: str) -> Work | None:
    """Return the action or compensation of this name; None when no registered saga has it."""
    return _works(tuple(registry.all_sagas())).get(name)


def system_called(name: str) -> str:
    """Return the system that the step or compensation of this name calls; empty if none is known."""
    work = find_work(name)
    return work.system if isinstance(work, Remote) else ""


def systems() -> list[str]:
    """Return the systems that the registered sagas call, by name."""
    works = _works(tuple(registry.all_sagas())).values()
    return sorted({work.system for work in works if isinstance(work, Remote)})


def find_rejection_text(code: str) -> RejectionText | None:
    """Return the texts for a run's reason; None when no step of a registered saga declares it."""
    return _rejection_texts(tuple(registry.all_sagas())).get(code)


def _steps(sagas: tuple[Saga, ...]) -> list[Step]:
    """Return the steps of all sagas; of several versions, the last one comes last."""
    by_version = sorted(sagas, key=lambda saga: saga.version)
    return [step for saga in by_version for step in saga.steps]


@lru_cache(maxsize=1)
def _works(sagas: tuple[Saga, ...]) -> dict[str, Work]:
    """Return each action and compensation by its name."""
    return {name: work for step in _steps(sagas) for name, work in step.action_and_compensation}


@lru_cache(maxsize=1)
def _rejection_texts(sagas: tuple[Saga, ...]) -> dict[str, RejectionText]:
    """Return the texts of each rejection by its code."""
    return {code: text for step in _steps(sagas) for code, text in step.rejection_texts.items()}
