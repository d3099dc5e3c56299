"""What the engine raises: definitions that cannot be kept, and workers that came too late."""

from uuid import UUID


class SagaError(Exception):
    """Anything that the engine raises on purpose."""


class DefinitionError(SagaError):
    """A saga that could not be undone or could not be finished.

    Most do not import; a local step that refuses where it must not shows only when it runs.
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
    """Another worker has taken the run over. Whatever this one was about to write is void."""

    def __init__(self, run_id: UUID, fence: int) -> None:
        super().__init__(f"run {run_id} has moved on from fence {fence}")
