"""The installation: settings, Celery, schedule and URLs. No other package imports all apps."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
