"""What the engine raises: impossible definitions, unknown sagas, and lost leases."""

from uuid import UUID


class SagaError(Exception):
    """The base of every error that the engine raises."""


class DefinitionError(SagaError):
    """A saga that could not compensate or finish, or a step that does not describe itself.

    Most are raised at import. A local step that rejects with an undeclared code, or where the run
    cannot compensate, raises when it runs; its transaction changes nothing.
    """


class UnknownSaga(SagaError):
    """No definition with this name and version is registered."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"saga {name} version {version} is not registered")


class UnknownStep(SagaError):
    """The definition has no step of this name (any more)."""

    def __init__(self, saga: str, step: str) -> None:
        super().__init__(f"saga {saga} has no step {step}")


class LeaseLost(SagaError):
    """Another worker has taken the run over; this one must write nothing."""

    def __init__(self, run_id: UUID, fence: int) -> None:
        super().__init__(f"run {run_id} has moved on from fence {fence}")
