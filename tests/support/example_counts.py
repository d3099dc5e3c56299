"""How many examples a property test runs, and how many steps each has at most."""

from typing import Final

from hypothesis import settings

MORE: Final = 50
"""By how much the thorough profile multiplies the examples."""


def effort(*, examples: int, steps: int) -> settings:
    """Return the loaded hypothesis profile with these limits, for one state machine."""
    is_thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        max_examples=examples * MORE if is_thorough else examples, stateful_step_count=steps
    )
