"""OpenSSH: a real SFTP server (Debian package openssh-server, root only).

Without root there is `tests.servers.ssh_in_process`, whose facts have the same names.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.servers.plain import PlainFolder, open_folder, small_disk
from tests.servers.programs import listens, need_root, program, run, started
from tests.servers.unix_user import unix_user

SMALL_BYTES = 20 * 2**20
_BROUGHT_BY = "Debian's package openssh-server brings it: .ci/install-servers"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key files in OpenSSH's form; `encrypted`, which `passphrase` opens, is PKCS #8 PEM (the other needs bcrypt)."""

    plain: Path
    encrypted: Path
    passphrase: str
    unknown: Path
    """A key that lets nobody in."""
    host: Path
    authorized: str
    """The public halves of `plain` and `encrypted`, one a line."""
    host_public: str
    """The host's public key: `ssh-ed25519 AAAA…`."""
    host_fingerprint: str
    """`SHA256:…`, as ssh-keygen prints it."""

    @classmethod
    def made(cls, folder: Path) -> "Keys":
        """New keys in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        made = {
            name: asyncssh.generate_private_key("ssh-ed25519") for name in ("plain", "encrypted", "unknown", "host")
        }
        passphrase = "open sesame"
        for name, key in made.items():
            if name == "encrypted":
                key.write_private_key(folder / name, "pkcs8-pem", passphrase)
            else:
                key.write_private_key(folder / name)
            (folder / name).chmod(0o600)
        public = {name: key.export_public_key().decode().strip() for name, key in made.items()}
        return cls(
            folder / "plain", folder / "encrypted", passphrase, folder / "unknown", folder / "host",
            f"{public['plain']}\n{public['encrypted']}\n", public["host"],
            made["host"].convert_to_public().get_fingerprint(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenSsh:
    """A running OpenSSH server. A session begins in `folder`; there is no chroot, paths are the machine's."""

    host: str
    port: int
    readonly_port: int
    """The same server for the same user, who may only read there."""
    username: str
    password: str
    keys: Keys
    known_hosts: Path
    """A file in OpenSSH's form that knows the host on both ports."""
    folder: str
    """The absolute path of `files`."""
    small_folder: str
    """The absolute path of `small`, a disk of 20 MiB."""
    forbidden_folder: str
    """The absolute path of a folder the user may not enter."""
    files: PlainFolder
    small: PlainFolder | None
    """None where this machine lets root mount nothing: then `small_folder` never gets full."""
    pid: int
    log: Path

    def sftp(self, commands: str, *, readonly: bool = False) -> str:
        """What OpenSSH's own sftp prints after these lines. Raises RuntimeError if one fails."""
        port = self.readonly_port if readonly else self.port
        return sftp_client(commands, self.host, port, self.username, self.keys, self.known_hosts)


def sftp_client(commands: str, host: str, port: int, username: str, keys: Keys, known_hosts: Path) -> str:
    """What OpenSSH's own sftp prints after these lines. Raises RuntimeError if one fails."""
    sftp = program("sftp", "Debian's package openssh-client brings it")
    choices = [f"UserKnownHostsFile={known_hosts}", "StrictHostKeyChecking=yes", f"IdentityFile={keys.plain}"]
    words = [word for choice in [*choices, "IdentitiesOnly=yes", "IdentityAgent=none"] for word in ("-o", choice)]
    return run([sftp, "-F", "/dev/null", "-b", "-", "-P", str(port), *words, f"{username}@{host}"], given=commands)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[OpenSsh]:
    """An OpenSSH server until the block ends. Raises ServerMissing without openssh-server or root, NotStarted."""
    need_root("run an SSH server that takes passwords")
    sshd = program("sshd", _BROUGHT_BY)
    with ExitStack() as stack:
        work, user = stack.enter_context(open_folder()), stack.enter_context(unix_user())
        has_small = stack.enter_context(small_disk(work / "small", SMALL_BYTES))
        files, small = (PlainFolder(work / name, (user.uid, user.gid)) for name in ("files", "small"))
        for plain in (files, small):
            plain.root.mkdir(exist_ok=True)
            plain.hand_over(plain.root)
        (work / "forbidden").mkdir(mode=0o700)
        keys = Keys.made(folder / "keys")
        (work / "authorized_keys").write_text(keys.authorized)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings, known_hosts = folder / "sshd_config", folder / "known_hosts"

        def command(ports: Sequence[int]) -> list[str | Path]:
            settings.write_text(_settings(work, ports, keys, user.name))
            known_hosts.write_text("".join(f"[127.0.0.1]:{port} {keys.host_public}\n" for port in ports))
            return [sshd, "-D", "-e", "-f", settings]

        server = stack.enter_context(
            started("sshd", command, folder=folder, ready=lambda ports: all(map(listens, ports)), ports=2)
        )
        yield OpenSsh(
            "127.0.0.1", server.ports[0], server.ports[1], user.name, user.password, keys, known_hosts,
            str(files.root), str(small.root), str(work / "forbidden"), files, small if has_small else None,
            server.pid, server.log,
        )  # fmt: skip


def _settings(work: Path, ports: Sequence[int], keys: Keys, username: str) -> str:
    return f"""ListenAddress 127.0.0.1
Port {ports[0]}
Port {ports[1]}
HostKey {keys.host}
PidFile none
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin no
AllowUsers {username}
PubkeyAuthentication yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile {work}/authorized_keys
MaxStartups 200
MaxSessions 200
LogLevel INFO
DisableForwarding yes
Subsystem sftp internal-sftp
Match LocalPort {ports[0]}
    ForceCommand internal-sftp -d {work}/files
Match LocalPort {ports[1]}
    ForceCommand internal-sftp -R -d {work}/files
"""
