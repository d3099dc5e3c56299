"""The sagas that this installation knows, by name and version; filled when the apps are ready."""

from collections.abc import Iterator

from sagas.definition import Saga
from sagas.errors import DefinitionError, UnknownSaga

_sagas: dict[tuple[str, int], Saga] = {}


def register(saga: Saga) -> Saga:
    """Make ``saga`` known. Old versions stay registered until their last run has ended."""
    known = _sagas.setdefault((saga.name, saga.version), saga)
    if known is not saga:
        raise DefinitionError(f"{saga.name} version {saga.version} is registered twice")
    return saga


def unregister(saga: Saga) -> None:
    """Forget ``saga``; its runs can no longer move."""
    _sagas.pop((saga.name, saga.version), None)


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
