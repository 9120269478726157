"""What a simulated tenant holds: sites, document libraries, one person's OneDrive, download addresses."""

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.clock import SimulatedClock
from simulator.clouds.base import Entry, Tokens, Tree, utc
from simulator.clouds.graph.errors import invalid, locked, no_room
from simulator.clouds.graph.names import PATH_CHARACTERS_MAX, accepted, characters
from simulator.clouds.graph.oauth import TENANT_DOMAIN, USER_ID
from simulator.clouds.graph.settings import GraphSwitches

if TYPE_CHECKING:
    from simulator.clouds.graph.uploads import Session

HOST = "contoso.sharepoint.example"
MY_HOST = "contoso-my.sharepoint.example"
SITE_PATH = "/sites/riverside"
ARCHIVE_PATH = "/sites/archive"
_SIGNATURE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Site:
    """One SharePoint site; its first drive is the default library."""

    id: str
    name: str
    path: str
    drives: "list[Drive]" = field(default_factory=list)

    @property
    def web_url(self) -> str:
        """Its address for people."""
        return f"https://{HOST}{self.path}"


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """One document library, or the OneDrive of a person (`site` is then None)."""

    id: str
    name: str
    folder: str
    """The library's name in addresses."""
    site: Site | None
    tree: Tree
    created_at: str

    @property
    def kind(self) -> str:
        """`driveType`."""
        return "business" if self.site is None else "documentLibrary"

    @property
    def web_url(self) -> str:
        """Its address for people."""
        return f"{PERSONAL_URL if self.site is None else self.site.web_url}/{self.folder}"

    @property
    def server_path(self) -> str:
        """Its path on the host, which counts towards the 400 characters."""
        return self.web_url.split("/", 3)[3]


PERSONAL_URL = f"https://{MY_HOST}/personal/ada_{TENANT_DOMAIN.replace('.', '_')}"


class GraphState:
    """Everything the handlers need; only the server's loop touches it."""

    def __init__(self, url: str, clock: SimulatedClock, tokens: Tokens, switches: Callable[[], GraphSwitches]) -> None:
        self.url = url
        self.api = f"{url}/v1.0"
        self.clock = clock
        self.tokens = tokens
        self._switches = switches
        self._secret = secrets.token_bytes(16)
        self.sites: list[Site] = []
        self.drives: dict[str, Drive] = {}
        self.sessions: dict[str, Session] = {}
        self.enumerations: dict[str, list[str]] = {}
        riverside = self._site("Riverside", SITE_PATH)
        self.library = self._drive("Documents", "Shared Documents", riverside)
        self._drive("Drawings", "Drawings", riverside)
        self._drive("Documents", "Shared Documents", self._site("Archive", ARCHIVE_PATH))
        self.onedrive = self._drive("OneDrive", "Documents", None)

    @property
    def switches(self) -> GraphSwitches:
        """The switches in force."""
        return self._switches()

    def accepted_name(self, drive: Drive, parent: Entry, name: object, *, folder: bool) -> str:
        """The name as it will be kept in a folder. Raises Refused, 400, for a bad one or a path too long."""
        at_root = parent is drive.tree.root
        kept = accepted(name, folder=folder, at_root=at_root, trim=self.switches.trim_names)
        path = "/".join((drive.server_path, *drive.tree.path(parent), kept))
        if characters(path) > PATH_CHARACTERS_MAX:
            raise invalid("The path exceeds the maximum length.", "pathIsTooLong")
        return kept

    def check_room(self, drive: Drive, more_bytes: int) -> None:
        """Raises Refused, 507, if that does not fit under the quota any more."""
        quota = self.switches.quota_bytes
        if quota is not None and drive.tree.used_bytes + more_bytes > quota:
            raise no_room()

    def check_unlocked(self, entry: Entry) -> None:
        """Raises Refused, 423, for a file that somebody has locked."""
        pattern = self.switches.locked
        if pattern and not entry.is_folder and re.search(pattern, entry.name):
            raise locked()

    def is_malware(self, entry: Entry) -> bool:
        """Whether a file was found to be malware."""
        return bool(self.switches.malware and not entry.is_folder and re.search(self.switches.malware, entry.name))

    def download_url(self, drive: Drive, entry: Entry, version_id: str = "") -> str:
        """A pre-authenticated address of a file's current content, or of one version, that is good for a while."""
        until = int(self.clock.now() + self.switches.link_seconds)
        text = f"{drive.id}|{entry.id}|{version_id}|{until}"
        packed = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return f"{self.url}/download/{packed}?tempauth={self._signature(text)}"

    def opened_url(self, packed: str, signature: str) -> tuple[Drive, str, str] | None:
        """Drive, item id and version id of a download address; None if it is forged or too old."""
        try:
            text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        except ValueError:
            return None
        if not hmac.compare_digest(self._signature(text), signature):
            return None
        drive_id, entry_id, version_id, until = text.split("|")
        if self.clock.now() >= int(until):
            return None
        return self.drives[drive_id], entry_id, version_id

    def _signature(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=_SIGNATURE_BYTES).hexdigest()

    def _site(self, name: str, path: str) -> Site:
        site = Site(f"{HOST},{uuid.uuid4()},{uuid.uuid4()}", name, path)
        self.sites.append(site)
        return site

    def _drive(self, name: str, folder: str, site: Site | None) -> Drive:
        def now_second() -> str:
            return utc(self.clock.now()).strftime("%Y-%m-%dT%H:%M:%SZ")

        tree = Tree(lambda: utc(self.clock.now()), new_id=_item_id)
        drive_id = "b!" + base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
        drive = Drive(drive_id, name, folder, site, tree, now_second())
        self.drives[drive_id] = drive
        if site is not None:
            site.drives.append(drive)
        return drive


def _item_id() -> str:
    return "01" + base64.b32encode(secrets.token_bytes(20)).decode()


def is_person(user: str, name: str) -> bool:
    """Whether a path's user id or principal name is the person of this tenant."""
    return name.lower() in (user.lower(), f"ada@{TENANT_DOMAIN}", USER_ID)
