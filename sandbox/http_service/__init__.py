"""What every HTTP service of the sandbox consists of: server, faults, keys, call log, controls."""
