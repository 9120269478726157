"""What a server's refusals mean: one table for files and folders, and one for connecting.

SFTP 3 has few statuses. OpenSSH answers 4 for a full disk, a name that is taken, a file where a folder should be and
anything else it has no word for (`errno_to_portable` in
https://github.com/openssh/openssh-portable/blob/master/sftp-server.c), and 5 for names that are too long or not
possible; so whoever gets a 4 looks what is there and how much space is left before asking this table.
"""

import socket
from dataclasses import dataclass

import asyncssh

from connectors.sftp.messages import Answer, Status
from migration.errors import ConfigurationError, FatalError, ItemError, RetryableError, SiteHaulError

GONE: frozenset[int] = frozenset({Status.NOTHING_THERE, Status.NO_SUCH_PATH})
_TEXT_LENGTH_MAX = 200
_KEEP_OUT = "Somebody may stand between here and the server"


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[SiteHaulError]
    code: str
    what: str
    fix: str


_NOT_FOUND = _Meaning(ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now.")
_SPACE = "Free some space there, or raise the quota, and run again."
_LOST = _Meaning(RetryableError, "unreachable", "the server lost its connection", "It is tried again by itself.")
_MEANINGS: dict[int, _Meaning] = {
    Status.END: _NOT_FOUND,
    Status.NOTHING_THERE: _NOT_FOUND,
    Status.NO_SUCH_PATH: _NOT_FOUND,
    Status.PERMISSION_DENIED: _Meaning(
        ItemError,
        "permission-denied",
        "the user may not do that there",
        "Give the user of the connection that right (owner, group and mode of the folder), or choose another folder.",
    ),
    Status.FAILURE: _Meaning(
        RetryableError,
        "server-failure",
        "the server only says that it failed",
        "It is tried again; if it stays so, look at the server's log, its disk and the user's quota.",
    ),
    Status.BAD_MESSAGE: _Meaning(
        ItemError,
        "name-refused",
        "the server does not accept the name or its length",
        "Rename it or shorten the path, or let the job change names.",
    ),
    Status.NO_CONNECTION: _LOST,
    Status.CONNECTION_LOST: _LOST,
    Status.UNSUPPORTED: _Meaning(
        ItemError,
        "not-supported",
        "the server does not support it",
        "Look at what `sitehaul test` says about the connection.",
    ),
    Status.EXISTS: _Meaning(ItemError, "name-taken", "something of that name is there already", "Run again."),
    Status.WRITE_PROTECTED: _Meaning(
        FatalError, "read-only", "the disk is write-protected", "Let the server write there or choose another folder."
    ),
    Status.NO_SPACE: _Meaning(FatalError, "disk-full", "the disk is full", _SPACE),
    Status.QUOTA_EXCEEDED: _Meaning(FatalError, "disk-full", "the user's quota is used up", _SPACE),
    Status.LOCKED: _Meaning(RetryableError, "locked", "somebody has locked it", "Close the program that has it open."),
    Status.NOT_A_FOLDER: _Meaning(
        ItemError, "not-a-folder", "a file is where a folder should be", "Move the file away."
    ),
    Status.INVALID_NAME: _Meaning(
        ItemError, "name-refused", "the server does not accept the name", "Rename it, or let the job change names."
    ),
}


def error_of(answer: Answer, shown: str, doing: str) -> SiteHaulError:
    """What a refusal means; `doing` completes "Could not … <path>"."""
    meaning = _MEANINGS.get(answer.status, _MEANINGS[Status.FAILURE])
    said = _plain(answer.text)
    detail = f" ({said})" if said and said.lower() not in _COMMON_WORDS else ""
    return meaning.error(meaning.code, f"Could not {doing} {shown}: {meaning.what}{detail}.", fix=meaning.fix)


_COMMON_WORDS = frozenset({"failure", "no such file", "no such file or directory", "permission denied", "bad message"})


def disk_full(shown: str) -> FatalError:
    """The server only says that it failed, and that its disk has no room."""
    return FatalError("disk-full", f"Could not write {shown}: the server's disk is full.", fix=_SPACE)


def root_missing(shown: str) -> FatalError:
    """The connection leads nowhere."""
    return FatalError(
        "root-missing",
        f"There is no folder {shown}.",
        fix="Check the folder of the connection; for a user who is kept in a chroot it begins there.",
    )


def lost(server: str, reason: str) -> RetryableError:
    """A connection that was there is gone; what was on it may have been done or not."""
    return RetryableError(
        "unreachable",
        f"The connection to {server} was lost: {reason}.",
        fix="It is tried again on a new connection; if it stays so, check the network and the server's log.",
    )


def unreachable(server: str, reason: str) -> RetryableError:
    """No connection comes about."""
    return RetryableError(
        "unreachable",
        f"{server} cannot be reached: {reason}.",
        fix="Check host and port of the connection, the network and the firewall (SSH uses TCP port 22).",
    )


def not_sftp(server: str) -> FatalError:
    """The server sent something else than SFTP."""
    return FatalError(
        "not-sftp",
        f"{server} does not speak SFTP: what it sent is no message of it.",
        fix="Check that the SFTP subsystem is on, and that no start-up file of the user (.bashrc) prints anything.",
    )


def untrusted(server: str, seen: asyncssh.SSHKey | None, *, is_new: bool) -> FatalError:
    """The server showed a host key that nobody said is the right one."""
    if seen is None:
        return FatalError(
            "untrusted-host",
            f"{server} cannot prove who it is: it has no host key of the kind that is known.",
            fix="Ask the server's administrator for its host keys and give one with --host-key.",
        )
    kind, fingerprint = seen.get_algorithm(), seen.get_fingerprint()
    if is_new:
        return FatalError(
            "untrusted-host",
            f"{server} is not known yet: its host key ({kind}) has the fingerprint {fingerprint}.",
            fix="If its administrator confirms it (`ssh-keygen -lf` of its public host key prints it), connect again "
            f"with --host-key {fingerprint}",
        )
    return FatalError(
        "untrusted-host",
        f"{server} shows another host key than the one that is known: {kind} with the fingerprint {fingerprint}. "
        f"{_KEEP_OUT}, or it was installed anew.",
        fix=f"Ask its administrator. Only if the key is right, connect again with --host-key {fingerprint}",
    )


def key_file_unreadable(path: object, reason: str) -> ConfigurationError:
    """The private key cannot be used."""
    return ConfigurationError(
        "key-file-unreadable",
        f"The private key {path} cannot be used: {reason}.",
        fix="Give a private key in OpenSSH's or PEM form, and its passphrase if it has one.",
    )


def known_hosts_unreadable(path: object, reason: str) -> ConfigurationError:
    """The file of known hosts cannot be used."""
    return ConfigurationError(
        "known-hosts-unreadable",
        f"{path} cannot be used as a list of known hosts: {reason}.",
        fix="Give a file in the form of OpenSSH's known_hosts, or the server's key with --host-key.",
    )


def agent_unreachable() -> ConfigurationError:
    """The connection is to sign in with the agent's keys, and there is no agent."""
    return ConfigurationError(
        "agent-unreachable",
        "The SSH agent cannot be reached.",
        fix="Start ssh-agent for the user who runs SiteHaul (SSH_AUTH_SOCK names it), or use a private key file.",
    )


def size_unknown(shown: str) -> ItemError:
    """Nobody says how long a file is."""
    return ItemError(
        "size-unknown", f"{shown} was not read: the server does not say how long it is.", fix="Copy it by other means."
    )


def connecting_error(error: BaseException, server: str, username: str) -> SiteHaulError:
    """Why no connection came about."""
    if isinstance(error, asyncssh.ChannelOpenError):
        return FatalError(
            "not-sftp",
            f"{server} lets {username} in but not use SFTP: {_plain(error.reason) or 'it refused'}.",
            fix="Turn the SFTP subsystem on at the server, and let the user open sessions (MaxSessions).",
        )
    if _is_refusal(error):
        return FatalError(
            "sign-in-refused",
            f"{server} does not let {username} in: the password or the key is wrong, or the user may not sign in so.",
            fix="Check user, password and private key; the server's log (sshd) says which of them it refused.",
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return FatalError(
            "no-common-algorithm",
            f"{server} and SiteHaul have no way to encrypt in common: {_plain(error.reason)}.",
            fix="Update the server's SSH software, or allow one of the algorithms that are named.",
        )
    return unreachable(server, _reason(error))


def same_again(error: SiteHaulError) -> SiteHaulError:
    """The same error for somebody else who waited for the same thing."""
    return type(error)(error.code, error.message, fix=error.fix)


def _is_refusal(error: BaseException) -> bool:
    """Whether the sign-in was refused; a server that ends the connection after too many tries says so in words."""
    return isinstance(error, asyncssh.PermissionDenied) or (
        isinstance(error, asyncssh.DisconnectError) and "authentication" in error.reason.lower()
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, asyncssh.Error):
        return _plain(error.reason) or "the connection was lost"
    if isinstance(error, OSError) and error.strerror:
        return _plain(error.strerror.lower())
    return _plain(str(error)) or type(error).__name__


def _plain(text: str) -> str:
    """What somebody else says, fit for one sentence."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_TEXT_LENGTH_MAX].strip().rstrip(".")
