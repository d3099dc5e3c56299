"""Chooses an account for a server that refuses to run as root, and changes this process to it."""

import ctypes
import enum
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_UID_INSIDE = 1000  # any number but 0: the server only looks whether it is root


class NoAccount(Exception):
    """As root, neither `nobody` nor a user namespace can run the server."""

    def __init__(self, paths: Sequence[Path]) -> None:
        listing = ", ".join(map(str, paths))
        super().__init__(
            "PostgreSQL refuses to run as root, `nobody` cannot reach all of "
            f"({listing}), and this system forbids user namespaces. Do one of: run the same "
            "command as an ordinary user; move the project to a folder that every user may enter; "
            "allow user namespaces."
        )


class Account(enum.Enum):
    """The account that runs a server."""

    OURSELVES = "ourselves"  # not root, so nothing has to change
    NOBODY = "nobody"  # the system's account without rights
    NAMESPACE = "namespace"  # root outside the namespace, another user inside

    @property
    def owner(self) -> int:
        """Return the user id that the server's files must have."""
        return _nobody().pw_uid if self is Account.NOBODY else os.geteuid()

    def become(self) -> None:
        """Change this process to the account; there is no way back. Raises OSError if forbidden."""
        if self is Account.NOBODY:
            nobody = _nobody()
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
        if self is Account.NAMESPACE:
            _enter_user_namespace()


def account_for(*, executable: Path, folder: Path) -> Account:
    """Return an account that can run ``executable`` on a directory inside ``folder``.

    Raises NoAccount.
    """
    if os.geteuid() != 0:
        return Account.OURSELVES
    for account in (Account.NOBODY, Account.NAMESPACE):
        if _can(account, executable, folder):
            return account
    raise NoAccount((executable, folder))


def _can(account: Account, executable: Path, folder: Path) -> bool:
    # A child process tries it out: that also covers ACLs, mounts and seccomp.
    child = os.fork()
    if child == 0:
        try:
            account.become()
            able = os.access(executable, os.R_OK | os.X_OK) and os.access(folder, os.X_OK)
        except (OSError, KeyError):
            able = False
        os._exit(0 if able else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    # Without "deny" the kernel does not accept a group map from the process itself.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_UID_INSIDE} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_UID_INSIDE} {gid} 1")
