"""The sagas that this installation knows, by name and version; filled when the apps are ready."""

from collections.abc import Iterator
from functools import cache

from sagas.definition import Remote, Saga, Step, Work
from sagas.descriptions import RejectionText
from sagas.errors import DefinitionError, UnknownSaga

_sagas: dict[tuple[str, int], Saga] = {}


def register(saga: Saga) -> Saga:
    """Make ``saga`` known. Old versions stay registered until their last run has ended."""
    known = _sagas.setdefault((saga.name, saga.version), saga)
    if known is not saga:
        raise DefinitionError(f"{saga.name} version {saga.version} is registered twice")
    _forget_index()
    return saga


def unregister(saga: Saga) -> None:
    """Forget ``saga``; its runs can no longer move."""
    _sagas.pop((saga.name, saga.version), None)
    _forget_index()


def get(name: str, version: int) -> Saga:
    """Return a definition. Raises UnknownSaga when this code does not have it."""
    try:
        return _sagas[name, version]
    except KeyError:
        raise UnknownSaga(name, version) from None


def newest(name: str) -> Saga:
    """Return the definition of this name that has the highest version. Raises UnknownSaga."""
    versions = [version for known, version in _sagas if known == name]
    return get(name, max(versions, default=0))


def find(name: str, version: int) -> Saga | None:
    """Return a definition; None when this code does not have it."""
    return _sagas.get((name, version))


def all_sagas() -> Iterator[Saga]:
    """Every registered definition, all versions."""
    return iter(list(_sagas.values()))


def find_work(name: str) -> Work | None:
    """Return the action or compensation of this name; None when no registered saga has it."""
    return _works().get(name)


def system_called(name: str) -> str:
    """Return the system that the step or compensation of this name calls; empty if none is known."""
    work = find_work(name)
    return work.system if isinstance(work, Remote) else ""


def systems() -> list[str]:
    """Return the systems that the registered sagas call, by name."""
    return sorted({work.system for work in _works().values() if isinstance(work, Remote)})


def find_rejection_text(code: str) -> RejectionText | None:
    """Return the texts for a run's reason; None when no step of a registered saga declares it."""
    return _rejection_texts().get(code)


def _steps() -> Iterator[Step]:
    """The steps of all sagas; of several versions, the last one comes last."""
    for saga in sorted(_sagas.values(), key=lambda saga: saga.version):
        yield from saga.steps


@cache
def _works() -> dict[str, Work]:
    """Each action and compensation by its name."""
    return {name: work for step in _steps() for name, work in step.action_and_compensation}


@cache
def _rejection_texts() -> dict[str, RejectionText]:
    """The texts of each rejection by its code."""
    return {code: text for step in _steps() for code, text in step.rejection_texts.items()}


def _forget_index() -> None:
    _works.cache_clear()
    _rejection_texts.cache_clear()
