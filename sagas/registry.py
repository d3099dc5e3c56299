"""The sagas that this installation knows, by name and version; filled when the apps are ready."""

from collections.abc import Iterator

from sagas.definition import Remote, Saga, Work
from sagas.descriptions import RejectionText
from sagas.errors import DefinitionError, UnknownSaga

_sagas: dict[tuple[str, int], Saga] = {}
_works: dict[str, Work] = {}
"""Each action and compensation of all sagas, by its name; of several versions, the last one."""
_rejection_texts: dict[str, RejectionText] = {}
"""Likewise, by the code of the rejection."""


def register(saga: Saga) -> Saga:
    """Make ``saga`` known. Old versions stay registered until their last run has ended."""
    known = _sagas.setdefault((saga.name, saga.version), saga)
    if known is not saga:
        raise DefinitionError(f"{saga.name} version {saga.version} is registered twice")
    _index()
    return saga


def unregister(saga: Saga) -> None:
    """Forget ``saga``; its runs can no longer move."""
    _sagas.pop((saga.name, saga.version), None)
    _index()


def get(name: str, version: int) -> Saga:
    """Return a definition. Raises UnknownSaga when this code does not have it."""
    try:
        return _sagas[name, version]
    except KeyError:
        raise UnknownSaga(name, version) from None


def find(name: str, version: int) -> Saga | None:
    """Return a definition; None when this code does not have it."""
    return _sagas.get((name, version))


def all_sagas() -> Iterator[Saga]:
    """Every registered definition, all versions."""
    return iter(list(_sagas.values()))


def find_work(name: str) -> Work | None:
    """Return the action or compensation of this name; None when no registered saga has it."""
    return _works.get(name)


def system_called(name: str) -> str:
    """Return the system that the step or compensation of this name calls; empty if none is known."""
    work = find_work(name)
    return work.system if isinstance(work, Remote) else ""


def systems() -> list[str]:
    """Return the systems that the registered sagas call, by name."""
    return sorted({work.system for work in _works.values() if isinstance(work, Remote)})


def find_rejection_text(code: str) -> RejectionText | None:
    """Return the texts for a run's reason; None when no step of a registered saga declares it."""
    return _rejection_texts.get(code)


def _index() -> None:
    _works.clear()
    _rejection_texts.clear()
    for saga in sorted(_sagas.values(), key=lambda saga: saga.version):
        for step in saga.steps:
            _works.update(step.works)
            _rejection_texts.update(step.rejection_texts)
