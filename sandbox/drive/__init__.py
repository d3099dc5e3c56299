"""The drive: real orders through the public API while faults are injected, and the checks after it."""
