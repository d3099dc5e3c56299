"""The desk as a Django app, and Django's admin with the desk's site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class DeskConfig(AppConfig):
    name = "desk"

    def ready(self) -> None:
        import desk.checks  # noqa: F401, PLC0415 - registers the checks


class DeskAdminConfig(admin_apps.AdminConfig):
    """Django's admin, on the desk's site."""

    default = False
    default_site = "desk.site.DeskSite"
