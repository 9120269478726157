"""The switches of the simulated Microsoft Graph. What Microsoft leaves open has the harsher default."""

from dataclasses import dataclass

from simulator.clouds.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSwitches(Switches):
    """How this Microsoft Graph behaves; `page_entries_max` caps `$top`, too."""

    link_seconds: float = 180.0
    """Lifetime of a pre-authenticated download address: "a few minutes" (driveitem-get-content)."""
    office_rewrite: bool = True
    """Whether a SharePoint library changes Office files after they were uploaded (property promotion)."""
    office_suffixes: str = ".docx .xlsx .pptx"
    settle_seconds: float = 0.2
    """How long after the upload's answer the file is rewritten; 0 = before the answer."""
    sha256_hash: bool = False
    """Whether files show a sha256Hash; OneDrive for work or school and SharePoint show the quickXorHash only."""
    hashes_missing: str = ""
    """A regular expression of names of files that show no hashes at all; empty = none."""
    trim_names: bool = True
    """True: spaces around a name are cut off silently. False: such a name is refused."""
    makes_parents: bool = False
    """Whether an upload by path makes the folders that are missing above it; else 404."""
    put_if_match: bool = False
    """Whether PUT /content honours If-Match; Microsoft documents it for upload sessions, updates and deletions only."""
    move_replaces: bool = False
    """Whether PATCH honours conflictBehavior=replace; it is documented for actions that create an item."""
    upload_refuses_bearer: bool = True
    """Whether an upload address answers 401 to a request that carries an Authorization header."""
    sessions_check_names_early: bool = True
    """Whether createUploadSession already refuses a taken name with conflictBehavior=fail; else only the last part."""
    current_version_content: bool = False
    """Whether /versions/{the current one}/content answers; else 400."""
    delta_duplicates: bool = True
    """Whether some items appear twice in an enumeration by delta."""
    delta_generation: int = 0
    """Changing it makes every delta token given so far answer 410 Gone."""
    delta_resync: str = "resyncChangesApplyDifferences"
    malware: str = ""
    """A regular expression of names of files that were found to be malware; empty = none."""
    locked: str = ""
    """A regular expression of names of files that somebody has locked: 423 on every change; empty = none."""
    device_person: str = "agrees"
    """What the person with the device code does: agrees (after one poll), waits or refuses."""
    device_code_seconds: float = 900.0
    device_interval_seconds: int = 5
    versions_max: int = 500
