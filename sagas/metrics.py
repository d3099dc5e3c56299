"""The engine's counters. Each process has its own."""

from typing import Final

from prometheus_client import Counter

ATTEMPTS: Final = Counter(
    "holdfast_step_attempts",
    "Attempts at steps and their compensations that ended, by outcome.",
    ["saga", "step", "outcome"],
)
RETRIES: Final = Counter(
    "holdfast_step_retries",
    "Attempts after the first one.",
    ["saga", "step"],
)
RUNS_ENDED: Final = Counter(
    "holdfast_runs_ended",
    "Runs that ended.",
    ["saga", "status"],
)
MESSAGES: Final = Counter(
    "holdfast_messages",
    "Runs handed to the publisher, by outcome of their message; the sweep finds dropped ones.",
    ["outcome"],  # published, dropped
)
REDISPATCHED: Final = Counter(
    "holdfast_sweep_redispatches",
    "Runs that a sweep queued again.",
    ["source"],
)
