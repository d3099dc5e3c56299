"""What gunicorn finds here by itself: its own lines are logged as all others are."""

from django.conf import settings
from gunicorn.config import Config
from gunicorn.glogging import Logger

from config.logging import configure


class logger_class(Logger):  # type: ignore[misc]  # noqa: N801 - untyped; the name of a setting
    """Gunicorn's logger without handlers of its own."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        configure(settings.LOGGING)
        for each in (self.error_log, self.access_log):
            each.handlers.clear()
            each.propagate = True
