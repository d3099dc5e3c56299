"""The sandbox's services besides Stripe, started for tests: fixtures ``sandbox``, ``outside_service``."""

from collections.abc import Callable
from pathlib import Path

from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.outside_service.services import SERVICES, setting_of

_addresses: dict[str, str] = {}
"""The settings with the addresses of the declared services, once they have been started."""

StartOutsideService = Callable[[str], OutsideServiceProcess]
"""Starts the service of this name, and puts its address into its setting."""


class OutsideServices:
    """The services that a session has started: one process for each name, shared by all tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: dict[str, OutsideServiceProcess] = {}

    def start(self, name: str) -> OutsideServiceProcess:
        """Return the running service, without acts, faults and added rules."""
        if name not in self.running:
            self.running[name] = OutsideServiceProcess(name, self._folder)
        self.running[name].start_over()
        return self.running[name]

    def start_declared(self) -> dict[str, str]:
        """Start every service of SERVICES. Returns their settings with their addresses."""
        addresses = {setting_of(name): self.start(name).url for name in SERVICES}
        _addresses.clear()
        _addresses.update(addresses)
        return addresses

    def stop(self) -> None:
        for service in self.running.values():
            service.stop()


def declared_addresses() -> dict[str, str]:
    """Return the settings with the addresses of the running services of SERVICES.

    For other processes, and for fixtures of modules: only single tests have them in their settings.
    """
    return dict(_addresses)
