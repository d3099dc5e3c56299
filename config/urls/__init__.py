"""Which addresses a web process answers, by what it serves. ``/health/`` is in ``monitoring.health``."""
