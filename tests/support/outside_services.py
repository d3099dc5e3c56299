"""The sandbox's generic outside services, started for tests: see the fixture ``outside_service``."""

from collections.abc import Callable
from pathlib import Path

from sandbox.outside_service.process import OutsideServiceProcess

StartOutsideService = Callable[[str], OutsideServiceProcess]
"""Starts the service of this name, and puts its address into its setting."""


class OutsideServices:
    """The services that a session has started: one process for each name, shared by all tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services: dict[str, OutsideServiceProcess] = {}

    def start(self, name: str) -> OutsideServiceProcess:
        """Return the running service, without acts, faults and added rules."""
        if name not in self._services:
            self._services[name] = OutsideServiceProcess(name, self._folder)
        self._services[name].start_over()
        return self._services[name]

    def stop(self) -> None:
        for service in self._services.values():
            service.stop()
