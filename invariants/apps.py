"""The invariants as a Django app."""

from django.apps import AppConfig


class InvariantsConfig(AppConfig):
    name = "invariants"
