"""How many examples a machine runs, and how many steps each of them has at most."""

from typing import Final

from hypothesis import settings

MORE: Final = 50
"""How many times as many examples the thorough profile runs."""


def effort(*, examples: int, steps: int) -> settings:
    """The loaded profile, sized for one machine."""
    is_thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        max_examples=examples * MORE if is_thorough else examples, stateful_step_count=steps
    )
