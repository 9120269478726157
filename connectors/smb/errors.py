"""What a server's statuses mean for a migration: one table for files and folders, one for signing in.

The statuses are those of [MS-ERREF] 2.3.1,
https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55.
"""

from dataclasses import dataclass

from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

END_OF_FILE = 0xC0000011
NO_MORE_FILES = 0x80000006
NO_SUCH_FILE = 0xC000000F
ACCESS_DENIED = 0xC0000022
NAME_NOT_FOUND = 0xC0000034
NAME_COLLISION = 0xC0000035
PATH_NOT_FOUND = 0xC000003A
SHARING_VIOLATION = 0xC0000043
DELETE_PENDING = 0xC0000056
FILE_IS_A_FOLDER = 0xC00000BA
BAD_NETWORK_NAME = 0xC00000CC
NOT_A_FOLDER = 0xC0000103
PATH_NOT_COVERED = 0xC0000257

GONE = frozenset({NO_SUCH_FILE, NAME_NOT_FOUND, PATH_NOT_FOUND, NOT_A_FOLDER, DELETE_PENDING})
"""Nothing is there, or will not be in a moment, or a file is where a folder would have to be."""
SESSION_LOST = frozenset({0xC00000C9, 0xC000020C, 0xC0000203, 0xC000035C, 0xC0000128, 0xC0000008})
"""The share, the connection, the session or the open file is gone on the server's side."""
CONNECTION_LOST = "connection-lost"


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[SiteHaulError]
    code: str
    what: str
    fix: str


_AGAIN = "It is tried again; if it stays so, look at the server."
_DFS = _Meaning(
    ItemError,
    "dfs-path",
    "it lies on another server, to which the share's DFS namespace refers",
    "Connect the server and share behind the DFS link directly (dfsutil or the folder's DFS tab names them).",
)
_SPACE = "Free some space there, or raise the quota, and run again."
_INVALID_NAME = _Meaning(
    ItemError, "name-refused", "the server does not accept the name", "Rename it, or let the job change names."
)
_NOT_FOUND = _Meaning(ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there.")
_LOCKED = _Meaning(
    RetryableError,
    "locked",
    "somebody has the file open and lets nobody else use it meanwhile",
    "Close the program that has it open (Computer Management, Shared Folders, Open Files shows who it is) and run "
    "again.",
)
_BUSY = _Meaning(RetryableError, "overloaded", "the server has no resources left for it", _AGAIN)
_LOST = _Meaning(RetryableError, CONNECTION_LOST, "the server ended the connection", _AGAIN)
_MEANINGS = {
    ACCESS_DENIED: _Meaning(
        ItemError,
        "permission-denied",
        "access is denied",
        "Give the user of the connection access, in the share's permissions and in the folder's; a file that is marked "
        "read-only cannot be replaced either.",
    ),
    0xC0000061: _Meaning(ItemError, "permission-denied", "a privilege is missing", "Give the user access."),
    0xC0000121: _Meaning(
        ItemError, "permission-denied", "it cannot be deleted or replaced", "Remove its read-only mark and run again."
    ),
    0xC00000A2: _Meaning(
        FatalError, "read-only", "the disk is write-protected", "Let the server write there or choose another share."
    ),
    0xC000007F: _Meaning(FatalError, "disk-full", "the disk is full", _SPACE),
    0xC0000044: _Meaning(FatalError, "disk-full", "the user's quota is used up", _SPACE),
    0xC0000427: _Meaning(
        ItemError, "file-too-large", "the file is larger than the server's disk allows", "Leave the file out."
    ),
    0xC0000904: _Meaning(ItemError, "file-too-large", "the file is too large", "Leave the file out."),
    0xC0000033: _INVALID_NAME,
    0xC000003B: _INVALID_NAME,
    0xC0000039: _INVALID_NAME,
    0xC0000106: _Meaning(
        ItemError, "name-too-long", "the name is too long for the server", "Shorten names or folders."
    ),
    NO_SUCH_FILE: _NOT_FOUND,
    NAME_NOT_FOUND: _NOT_FOUND,
    PATH_NOT_FOUND: _NOT_FOUND,
    DELETE_PENDING: _Meaning(
        RetryableError, "locked", "it is being deleted, and somebody still has it open", "Close it there and run again."
    ),
    0xC0000225: _NOT_FOUND,
    NAME_COLLISION: _Meaning(ItemError, "name-taken", "something of that name is there already", "Run again."),
    FILE_IS_A_FOLDER: _Meaning(ItemError, "not-a-file", "it is a folder", "Run again; something else is there now."),
    NOT_A_FOLDER: _Meaning(ItemError, "not-a-folder", "a file is where a folder should be", "Move the file away."),
    SHARING_VIOLATION: _LOCKED,
    0xC0000054: _LOCKED,
    0xC0000055: _LOCKED,
    0x8000002D: _Meaning(
        ItemError, "link-in-the-way", "a symbolic link is in the way; links are never followed", "Use the real path."
    ),
    PATH_NOT_COVERED: _DFS,
    0xC000026D: _DFS,
    0xC0000279: _DFS,
    0xC000009A: _BUSY,
    0xC0000205: _BUSY,
    0xC0000017: _BUSY,
    0xC00000D0: _BUSY,
    0x80000011: _BUSY,
    0xC00000B5: _Meaning(RetryableError, "overloaded", "the server did not get it done in time", _AGAIN),
    0xC00000E9: _Meaning(RetryableError, "device-error", "the server's disk failed", _AGAIN),
    0xC000009C: _Meaning(RetryableError, "device-error", "the server's disk failed", _AGAIN),
    0xC0000185: _Meaning(RetryableError, "device-error", "the server's disk failed", _AGAIN),
    **dict.fromkeys(SESSION_LOST, _LOST),
}

_REFUSED_SIGN_INS = {
    0xC000006D: "the user name or the password is wrong",
    0xC000006A: "the password is wrong",
    0xC0000064: "there is no such user",
    0xC000006E: "the user may not sign in over the network (an empty password, or a restriction)",
    0xC000006F: "the user may not sign in at this time of day",
    0xC0000070: "the user may not sign in from this machine",
    0xC0000071: "the user's password has expired",
    0xC0000072: "the user is disabled",
    0xC000015B: "the user has no right to sign in over the network",
    0xC000018D: "the server's trust in its domain is broken",
    0xC0000193: "the user has expired",
    0xC0000224: "the user's password has to be changed first",
    0xC0000234: "the user is locked out after too many wrong passwords",
    0xC0000413: "the server's authentication policy refuses the user",
    ACCESS_DENIED: "the server refuses the user",
}


def error_of(status: int, shown: str) -> SiteHaulError:
    """What a status says about a file or folder; `shown` is its path for people."""
    meaning = _MEANINGS.get(status)
    if meaning is None:
        return ItemError(
            "server-refused",
            f"{shown}: the server refused with status 0x{status:08X}.",
            fix="Look the status up in Microsoft's list of NTSTATUS values and look at the server's log.",
        )
    return meaning.error(meaning.code, f"{shown}: {meaning.what}.", fix=meaning.fix)


def sign_in_error(status: int, server: str, username: str) -> SiteHaulError:
    """Why the server did not let the user in."""
    reason = _REFUSED_SIGN_INS.get(status)
    if reason is None:
        if status in _MEANINGS and _MEANINGS[status].error is RetryableError:
            return error_of(status, server)
        reason = f"signing in failed with status 0x{status:08X}"
    return sign_in_refused(server, username, reason)


def sign_in_refused(server: str, username: str, reason: str) -> FatalError:
    """The server did not let the user in; trying again might lock the user out."""
    return FatalError(
        "sign-in-refused",
        f"{server} did not let {username} sign in: {reason}.",
        fix="Check user name (DOMAIN\\user or user@domain), password and the user's state, then set the password of "
        "the connection anew. It is not tried again by itself, because that might lock the user out.",
    )


def share_error(status: int, share: str, username: str) -> SiteHaulError:
    """Why the share, written as people write it, cannot be used."""
    if status == BAD_NETWORK_NAME:
        return FatalError(
            "root-missing",
            f"There is no share {share}.",
            fix="Correct the share's name; `net view` or the server's administration lists the shares.",
        )
    if status == ACCESS_DENIED:
        return FatalError(
            "permission-denied",
            f"{username} may not use the share {share}.",
            fix="Give the user access in the share's permissions; if the share accepts encrypted connections only, set "
            "encryption of the connection to required.",
        )
    return error_of(status, share)


def unreachable(server: str, reason: str) -> RetryableError:
    """The server does not answer."""
    return RetryableError(
        "unreachable",
        f"{server} cannot be reached: {reason}.",
        fix="Check server and port of the connection, the network and the firewall (SMB uses TCP port 445).",
    )


def connection_lost(server: str, reason: str) -> RetryableError:
    """The connection ended with messages on their way; what was done with them is unknown."""
    return RetryableError(CONNECTION_LOST, f"The connection to {server} was lost: {reason}.", fix=_AGAIN)


def same_again(error: SiteHaulError) -> SiteHaulError:
    """The same error for somebody else who waited for the same thing."""
    return type(error)(error.code, error.message, fix=error.fix)
