"""Where a walk stands, as the text a caller keeps between two runs.

It does not hold the folders of the project: that could be megabytes, written again with every page. A resumed walk
reads the folders once more (one call per 5,000) and compares them with the digest kept here; if they have changed
meanwhile, the walk begins again.
"""

import json
from dataclasses import asdict, dataclass, fields

from connectors.procore.index import IndexForm, Position

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a walk has come."""

    project_id: str
    project_name: str
    level: str = ""
    """The account's level in the Documents tool when it does not see private entries; empty = it sees them."""
    restarts: int = 0
    """How often the listing has changed under this walk."""
    digest: str = ""
    """Of the folders whose paths were given out; empty = none were yet."""
    folders_given: int = 0
    folders_read: int = 0
    """By a walk of all versions: how many folders' files were given."""
    form: IndexForm = IndexForm.V1
    files: Position | None = None
    """How far the files were given; None = not begun."""

    @property
    def text(self) -> str:
        """This mark as text."""
        return json.dumps({"v": FORMAT_VERSION, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parsed(cls, text: str) -> "Mark | None":
        """The inverse of `text`; None for a mark that another version of SiteHaul wrote, or that is damaged."""
        try:
            values = json.loads(text)
            if values.pop("v") != FORMAT_VERSION or values.keys() != {field.name for field in fields(cls)}:
                return None
            files = values.pop("files")
            form = IndexForm(values.pop("form"))
            return cls(**values, form=form, files=None if files is None else Position(**files))
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
