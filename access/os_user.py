"""Who acts from a shell on one of our hosts: known to the operating system, and without an account."""

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShellUser:
    """Somebody who is known to the operating system alone, and has no account here.

    No permission holds back who could as well write the rows: a name and a reason are demanded.
    """

    name: str

    def get_username(self) -> str:
        """A name that no account can have: a colon is not allowed in those."""
        return f"shell:{self.name}"

    def has_perm(self, _permission: str) -> bool:
        return True


def user_of_this_shell() -> ShellUser:
    """Return who logged in, also behind sudo; where nobody did, such as in a container, whose process it is."""
    with suppress(OSError):
        return ShellUser(os.getlogin())
    with suppress(KeyError):
        return ShellUser(pwd.getpwuid(os.getuid()).pw_name)
    return ShellUser(str(os.getuid()))
