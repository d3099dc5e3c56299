"""The sandbox process, where tests look for it."""

from sandbox.stripe_process import SandboxServer

__all__ = ["SandboxServer"]
