"""The files that make migrations fail: names other systems refuse, twins, very long paths, empty and huge ones."""

import unicodedata
from dataclasses import dataclass

from simulator.catalogue import Path

GIB = 1024**3
_IMPORTED = ("11 Imported from subcontractors",)
_NFC = unicodedata.normalize("NFC", "Café Grundriß Übersicht.pdf")
_NFD = unicodedata.normalize("NFD", _NFC)


@dataclass(frozen=True, slots=True)
class Odd:
    """A file with what is odd about it; `size_bytes` None = like any other."""

    folder: Path
    name: str
    size_bytes: int | None = None
    body: str | None = None
    """Key of content that several files share."""
    versions: int = 1
    locked: bool = False


def _in(folder: Path, *names: str) -> list[Odd]:
    return [Odd(folder, name) for name in names]


LONG_FOLDERS: Path = tuple(f"{number:02d} Subcontractor coordination correspondence" for number in range(1, 8))
DEEP_FOLDERS: Path = tuple(f"L{number:02d}" for number in range(1, 41))

ODD_FILES: list[Odd] = [
    Odd(_IMPORTED, "empty placeholder.txt", 0),
    Odd(_IMPORTED, "Setting-out drawing.pdf", versions=7),
    *_in((*_IMPORTED, "Unicode"), _NFC, _NFD),
    *_in((*_IMPORTED, "Case"), "Site Plan.pdf", "SITE PLAN.pdf", "site plan.PDF"),
    *_in((*_IMPORTED, "Case", "Survey"), "Report.pdf"),
    *_in((*_IMPORTED, "Case", "SURVEY"), "Report.pdf"),
    *_in((*_IMPORTED, "Names"), "CON.pdf", "aux", "NUL.txt", "com1.log", "LPT9.docx", "Elevation: North?.pdf"),
    *_in((*_IMPORTED, "Names"), "Pour <A> & <B>.pdf", "Grid|Line *2.xlsx", 'Detail 3" plate.pdf', "back\\slash.txt"),
    *_in((*_IMPORTED, "Names"), "trailing dot.", "trailing space ", " leading space.pdf", "space before .pdf"),
    *_in((*_IMPORTED, "Names"), "..", "...", "..pdf", "../../escape.txt", "..\\..\\win.ini", "Sheet 3/8.pdf"),
    *_in((*_IMPORTED, "Names"), "🏗️ Crane lift plan 👷.pdf", "レビュー済み図面.pdf", "مخطط الطابق.pdf"),
    *_in(LONG_FOLDERS, "A path of more than three hundred characters - minutes of the coordination meeting.docx"),
    *_in((*_IMPORTED, "Long"), f"{'Very long name ' * 16}end.pdf", f"{'ü' * 200}.pdf"),
    *_in(DEEP_FOLDERS, "forty levels down.txt"),
    *_in((*_IMPORTED, "Names", "Phase 1"), "Scope.pdf"),
    *_in((*_IMPORTED, "Names", "Phase 1."), "Scope.pdf"),
    *_in((*_IMPORTED, "Names", "PRN"), "in a reserved folder.txt"),
    *_in((*_IMPORTED, "Names", ".."), "in a folder called dot dot.txt"),
    *_in((*_IMPORTED, "Names", "Plans/Sections"), "in a folder with a slash.txt"),
    Odd((*_IMPORTED, "Copies"), "Logo.png", 24_000, "shared-logo"),
    Odd((*_IMPORTED, "Copies"), "Logo copy.png", 24_000, "shared-logo"),
    Odd(("01 Contracts",), "Logo.png", 24_000, "shared-logo"),
    Odd(("02 Drawings",), "Logo.png", 24_000, "shared-logo"),
    Odd(_IMPORTED, "checked out.xlsx", locked=True),
    Odd(_IMPORTED, "checked out too.dwg", locked=True, versions=3),
    Odd(_IMPORTED, "zero.dwg", 0),
    Odd((*_IMPORTED, "Sizes"), "one byte.bin", 1),
    Odd((*_IMPORTED, "Sizes"), "64 KiB.bin", 65536),
    Odd((*_IMPORTED, "Sizes"), "64 KiB and one.bin", 65537),
    Odd((*_IMPORTED, "Sizes"), "1 MiB.bin", 1024 * 1024),
    *_in(
        (*_IMPORTED, "Names"), "100% complete #2.pdf", "%2e%2e%2fescape.txt", "a+b=c & d;e.txt", "it's `quoted` $HOME"
    ),
    *_in((*_IMPORTED, "Names"), "-rf", "--help.pdf", ".hidden", "no extension", "UPPER.PDF", "~$lock.docx", "x.tar.gz"),
    *_in(
        (*_IMPORTED, "Names"),
        "invoice\u202efdp.exe",
        "zero\u200bwidth.txt",
        "double  space.pdf",
        "non\u00a0breaking.pdf",
    ),
    *_in((*_IMPORTED, "Names", "Specs"), "inside the folder Specs.txt"),
    Odd((*_IMPORTED, "Names"), "Specs"),
]
"""The more telling ones first: a small project gets only the first of them."""

HUGE = Odd(("08 Models",), "Point cloud Level 3.e57", 4 * GIB + 4097)
"""Only in a project whose files may be that large."""

PRIVATE_FOLDER: Path = ("01 Contracts", "Legal (private)")
PRIVATE_FILES: list[Odd] = [
    *_in(PRIVATE_FOLDER, "Claim 7.docx", "Settlement.pdf"),
    Odd(("01 Contracts",), "Private fee proposal.pdf"),
]
"""Files the service account does not see: two in a private folder, one private itself."""

DELETED_FOLDER: Path = ("superseded drawings",)
DELETED_FILES: list[Odd] = [
    Odd((), "old site plan.pdf"), Odd((), "Meeting notes (draft).docx"), Odd(DELETED_FOLDER, "A-101 old.pdf"),
    Odd(DELETED_FOLDER, "A-102 old.pdf"),
]  # fmt: skip
"""Files in the recycle bin."""

EMPTY_FOLDERS: list[Path] = [
    ("13 To be filed",),
    ("10 Closeout", "Punch List", "Photos before"),
    (*_IMPORTED, "Empty", "Empty"),
]
