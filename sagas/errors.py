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


class UnknownWait(SagaError):
    """The run's definition has no wait of this name (any more)."""

    def __init__(self, saga: str, version: int, wait: str) -> None:
        super().__init__(f"saga {saga} version {version} has no wait {wait}")


class LeaseLost(SagaError):
    """Another worker has taken the run over; this one must write nothing."""

    def __init__(self, run_id: UUID, fence: int) -> None:
        super().__init__(f"run {run_id} has moved on from fence {fence}")


class SignalRefused(SagaError):
    """The run does not take this signal now; ``allowed`` are those that it takes."""

    def __init__(self, name: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"signal {name} is not allowed now; allowed: {', '.join(allowed) or 'none'}"
        )
        self.name = name
        self.allowed = allowed


class SignalConflict(SagaError):
    """The key of a signal was used before, for another payload."""

    def __init__(self, name: str, key: str) -> None:
        super().__init__(f"signal {name} with key {key} was sent before with another payload")


class InvalidSignal(SagaError):
    """The payload of a signal does not fit its schema; ``problems`` are sentences by field."""

    def __init__(self, name: str, problems: dict[str, list[str]]) -> None:
        super().__init__(f"signal {name}: {problems}")
        self.problems = problems


class ChildrenRunning(SagaError):
    """Runs that this run has started have not ended yet."""

    code = "children_running"

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} children are still running")
