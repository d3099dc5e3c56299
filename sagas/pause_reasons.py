"""Why a run is paused: a stable code, which the run keeps and the log names."""

from django.db.models import TextChoices


class PauseReason(TextChoices):
    STAFF = "staff"  # staff paused it
    MONEY_IN_DOUBT = "money_in_doubt"  # an invariant about its money was found broken
