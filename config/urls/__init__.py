"""The URLs of a web process, for each value of ``SERVE``. ``monitoring.health`` has ``/health/``."""
