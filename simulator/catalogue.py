"""What a construction project's Documents tool holds: endless series of believable files, by kind of work."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How files of one kind are: typical size, its spread (sigma of the logarithm), how likely a further version is."""

    median_bytes: int
    spread: float
    revised: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be made. `when`: where in the project's time it was made, 0 to 1; None = anywhere."""

    folder: Path
    name: str
    kind: Kind
    when: float | None = None


DRAWING = Kind(450_000, 0.9, 0.45)
OFFICE = Kind(60_000, 1.0, 0.25)
SCAN = Kind(220_000, 1.1, 0.08)
PHOTO = Kind(900_000, 0.5, 0.0)
VIDEO = Kind(12_000_000, 0.8, 0.0)
MODEL = Kind(30_000_000, 1.0, 0.6)
NOTE = Kind(3_000, 1.2, 0.15)

_DISCIPLINES = (
    ("A", "Architectural"), ("S", "Structural"), ("M", "Mechanical"), ("E", "Electrical"), ("P", "Plumbing"),
    ("C", "Civil"), ("FP", "Fire Protection"), ("L", "Landscape"), ("ID", "Interiors"), ("T", "Telecom"),
)  # fmt: skip
_SHEETS = (
    "Floor Plan", "Reflected Ceiling Plan", "Roof Plan", "Sections", "Elevations", "Details", "Schedules",
    "Enlarged Plans", "Stair Details", "Riser Diagram", "Foundation Plan", "Site Plan",
)  # fmt: skip
_SECTIONS = (
    ("03 30 00", "Cast-in-Place Concrete"), ("05 12 00", "Structural Steel"), ("07 21 00", "Thermal Insulation"),
    ("07 54 23", "TPO Roofing"), ("08 11 13", "Hollow Metal Doors & Frames"), ("08 44 13", "Glazed Curtain Walls"),
    ("09 29 00", "Gypsum Board"), ("09 91 23", "Interior Painting"), ("14 21 00", "Electric Traction Elevators"),
    ("21 13 13", "Wet-Pipe Sprinkler Systems"), ("23 05 93", "Testing, Adjusting & Balancing"),
    ("26 24 16", "Panelboards"), ("31 20 00", "Earth Moving"), ("32 12 16", "Asphalt Paving"),
)  # fmt: skip
_PRODUCTS = ("Product Data", "Shop Drawings", "Mix Design", "Test Reports", "Samples", "Certificates", "Calculations")
_QUESTIONS = (
    "Slab edge at grid C-4", "Beam penetration above corridor", "Door hardware set 12", "Duct conflict with joist",
    "Rebar lap at shear wall", "Elevator pit waterproofing", "Finish transition in lobby", "Missing fire damper",
    "Curtain wall anchor location", "Conduit routing in plenum",
)  # fmt: skip
_AREAS = ("Level 1", "Level 2", "Level 3", "Roof", "Exterior", "Basement", "Site", "Lobby", "Mechanical Room")
_FIRMS = (
    "Alder & Finch Architects", "Bay Concrete", "Coastal Steel Erectors", "Delgado Electric", "Evergreen Landscaping",
    "Fjord Mechanical GmbH", "Gray Plumbing, Inc", "Hollis Glass", "Ivanova Interiors", "Juniper Roofing Co",
)  # fmt: skip
_MEETINGS = ("OAC", "Subcontractor Coordination", "Safety Committee", "BIM Coordination", "Pre-Installation")


def photos(chance: random.Random, days: int, start: float) -> Iterator[Wanted]:
    """Photos by day and area, some films among them."""
    number = 1000
    for visit in itertools.count():
        when = ((visit * 7 + chance.randrange(5)) % days) / days
        date = _date(start + when * days * 86400)
        round_ = f" ({visit * 7 // days + 1})" if visit * 7 >= days else ""
        folder = ("06 Photos", date[:4], date[:7], f"{date} {_AREAS[visit % len(_AREAS)]}{round_}")
        for _ in range(chance.randint(12, 40)):
            number += 1
            if number % 61 == 0:
                yield Wanted(folder, f"VID_{number}.MP4", VIDEO, when)
            else:
                ending = ".HEIC" if number % 9 == 0 else ".jpg" if number % 5 == 0 else ".JPG"
                yield Wanted(folder, f"IMG_{number}{ending}", PHOTO, when)


def drawings(chance: random.Random, days: int, start: float) -> Iterator[Wanted]:
    """Drawing sets by discipline and issue."""
    for issue in itertools.count():
        when = min(0.98, 0.03 * issue) if issue < 30 else chance.random()
        title = ("Schematic Design", "50% CD", "100% CD", "Issued for Construction")[issue] if issue < 4 else ""
        title = title or f"Bulletin {issue - 3:02d}"
        label = f"{_date(start + when * days * 86400)} {title}"
        for letter, discipline in _DISCIPLINES:
            folder = ("02 Drawings", discipline, label)
            for sheet in range(chance.randint(6, 18)):
                name = f"{letter}-{100 + sheet:03d} - {_SHEETS[sheet % len(_SHEETS)]}"
                yield Wanted(folder, f"{name}{'.dwg' if chance.random() < 0.1 else '.pdf'}", DRAWING, when)


def submittals(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """Submittal packages by specification section."""
    for number in itertools.count(1):
        section, title = _SECTIONS[number % len(_SECTIONS)]
        folder = ("04 Submittals", f"{section} {title}", f"{section}-{number:03d} {chance.choice(_PRODUCTS)}")
        for at in range(chance.randint(3, 9)):
            name = (
                ("Transmittal.pdf", "Submittal.pdf", "Review Comments.docx")[at] if at < 3 else f"Attachment {at}.pdf"
            )
            yield Wanted(folder, name, OFFICE if name.endswith("docx") else SCAN)


def rfis(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """Requests for information with answers and pictures, a folder each."""
    for number in itertools.count(1):
        folder = ("05 RFIs", f"{(number - 1) // 100 * 100 + 1:04d}-{(number - 1) // 100 * 100 + 100:04d}",
                  f"RFI-{number:04d} {chance.choice(_QUESTIONS)}")  # fmt: skip
        yield Wanted(folder, f"RFI-{number:04d}.pdf", SCAN)
        yield Wanted(folder, f"RFI-{number:04d} Response.pdf", SCAN)
        for at in range(chance.randint(1, 7)):
            yield Wanted(folder, f"markup {at + 1}.png", PHOTO)


def daily_logs(chance: random.Random, days: int, start: float) -> Iterator[Wanted]:
    """A log each working day, a folder each month."""
    for day in itertools.count():
        when = (day % days) / days
        date = _date(start + when * days * 86400)
        crew = f" crew {day // days + 1}" if day >= days else ""
        yield Wanted(("09 Daily Logs", date[:4], date[:7]), f"{date} Daily Log{crew}.pdf", SCAN, when)
        if chance.random() < 0.2:
            yield Wanted(("09 Daily Logs", date[:4], date[:7]), f"{date} weather{crew}.csv", NOTE, when)


def contracts(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """Contracts, insurance and change orders by firm."""
    for number in itertools.count():
        firm = _FIRMS[number % len(_FIRMS)] + (f" {number // len(_FIRMS) + 1}" if number >= len(_FIRMS) else "")
        folder = ("01 Contracts", "Subcontracts", firm)
        yield Wanted(folder, f"Subcontract Agreement - {firm}.pdf", SCAN)
        yield Wanted(folder, "Certificate of Insurance.pdf", SCAN)
        yield Wanted(folder, "Schedule of Values.xlsx", OFFICE)
        for order in range(chance.randint(1, 8)):
            yield Wanted((*folder, "Change Orders"), f"CO {order + 1:03d}.pdf", SCAN)


def minutes(chance: random.Random, days: int, start: float) -> Iterator[Wanted]:
    """Minutes of weekly meetings."""
    for week in itertools.count():
        when = (week * 7 % days) / days
        meeting = _MEETINGS[week % len(_MEETINGS)]
        name = f"{_date(start + when * days * 86400)} {meeting} Minutes {week + 1:03d}"
        folder = ("07 Meetings", meeting, f"{week // 50 * 50 + 1:03d}-{week // 50 * 50 + 50:03d}")
        yield Wanted(folder, f"{name}.docx", OFFICE, when)
        if chance.random() < 0.3:
            yield Wanted(folder, f"{name} - Sign-in.pdf", SCAN, when)


def specifications(_chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """The project manual by division, an issue after another."""
    for issue in itertools.count(1):
        for section, title in _SECTIONS:
            folder = ("03 Specifications", f"Issue {issue:02d}", f"Division {section[:2]}")
            yield Wanted(folder, f"{section} - {title}.pdf", SCAN)


def closeout(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """Operation manuals, warranties and as-builts, deeply filed."""
    for number in itertools.count():
        section, title = _SECTIONS[number % len(_SECTIONS)]
        folder = (
            "10 Closeout",
            "O&M Manuals",
            f"Division {section[:2]}",
            f"{section} {title}",
            f"Unit {number + 1:03d}",
        )
        for name in ("Manual.pdf", "Warranty.pdf", "Spare Parts.xlsx", "As-Built.dwg")[: chance.randint(2, 4)]:
            yield Wanted((*folder, "Signed") if name == "Warranty.pdf" else folder, name, SCAN)


def models(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """Building models and their exports, large."""
    for number in itertools.count(1):
        letter, discipline = _DISCIPLINES[number % len(_DISCIPLINES)]
        ending = chance.choice((".rvt", ".ifc", ".nwd", ".zip"))
        folder = ("08 Models", discipline, f"{(number - 1) // 100 + 1:02d}")
        yield Wanted(folder, f"{letter}_Model_{number:03d}{ending}", MODEL)


def old_server(chance: random.Random, _days: int, _start: float) -> Iterator[Wanted]:
    """What was copied from a file server years ago and never looked at again."""
    for number in itertools.count(1):
        depth = 2 + number % 9
        folder: Path = ("12 Archive", "old server (do not delete)", f"share {number // 40 + 1}")
        folder += tuple(f"New Folder ({at})" if at % 3 else "Backup" for at in range(1, depth))
        for at in range(chance.randint(1, 9)):
            name = chance.choice(("Copy of budget", "Scan", "Document", "thumbs", "estimate FINAL", "letter"))
            ending = chance.choice((".xls", ".doc", ".tif", ".pdf", ".db", ".txt"))
            yield Wanted(folder, f"{name} {number}-{at}{ending}", OFFICE, -1.0)


Series = Callable[[random.Random, int, float], Iterator[Wanted]]
SHARES: tuple[tuple[Series, float], ...] = (
    (contracts, 0.04), (drawings, 0.20), (specifications, 0.02), (submittals, 0.16), (rfis, 0.12), (minutes, 0.03),
    (daily_logs, 0.05), (closeout, 0.04), (models, 0.004), (old_server, 0.03), (photos, 1.0),
)  # fmt: skip
"""Which part of the files each series gives; the last takes the rest."""


def wanted_files(seed: str, count: int, days: int, start: float) -> Iterator[Wanted]:
    """Exactly so many files, no name twice in a folder."""
    left = count
    for series, share in SHARES:
        chance = random.Random(f"{seed}-{series.__name__}")
        asked = min(left, math.ceil(count * share)) if share < 1 else left
        yield from itertools.islice(series(chance, days, start), asked)
        left -= asked


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
