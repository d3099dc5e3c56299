"""The parts of every HTTP service of the sandbox: server, faults, idempotency keys, call log, controls."""
