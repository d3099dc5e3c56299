"""The operating system user who runs a management command."""

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShellUser:
    """An operator with a shell on the host and without an account.

    Has every permission, because a shell can write the database anyway. Audit rows name the user.
    """

    name: str

    def get_username(self) -> str:
        """Return a name that no account can have: usernames contain no colon."""
        return f"shell:{self.name}"

    def has_perm(self, _permission: str) -> bool:
        return True


def user_of_this_shell() -> ShellUser:
    """Return the user who logged in, also behind sudo; in a container, the user of the process."""
    with suppress(OSError):
        return ShellUser(os.getlogin())
    with suppress(KeyError):
        return ShellUser(pwd.getpwuid(os.getuid()).pw_name)
    return ShellUser(str(os.getuid()))
