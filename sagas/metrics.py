"""What the engine counts, in each process."""

from typing import Final

from prometheus_client import Counter

ATTEMPTS: Final = Counter(
    "holdfast_step_attempts",
    "Attempts at steps and their compensations that ended, by how.",
    ["saga", "step", "outcome"],
)
RETRIES: Final = Counter(
    "holdfast_step_retries",
    "Calls that were made again, because an earlier attempt had no answer.",
    ["saga", "step"],
)
RUNS_ENDED: Final = Counter(
    "holdfast_runs_ended",
    "Runs that came to their end.",
    ["saga", "status"],
)
MESSAGES: Final = Counter(
    "holdfast_messages",
    "Runs handed to the publisher, by what became of their messages; the sweep finds what was dropped.",
    ["outcome"],  # published, dropped
)
REDISPATCHED: Final = Counter(
    "holdfast_sweep_redispatches",
    "Runs that a sweep queued again.",
    ["source"],
)
