"""What Egnyte lets files and folders be called.

https://helpdesk.egnyte.com/hc/en-us/articles/201637074-Unsupported-Characters-and-File-Types. The limits count bytes:
245 for a name, 5000 for a path. Upper and lower case are not told apart.
"""

import re

NAME_BYTES_MAX, PATH_BYTES_MAX = 245, 5000
_CHARACTERS = re.compile('[\\\\/":<>|*?\x00-\x1f\x7f\U00010000-\U0010ffff\ud800-\udfff]')
_EXACT = frozenset({".ds_store", ".metadata_never_index", ".thumbs.db", "powerpoint temp", "desktop.ini", "icon\r"})
_STARTS = ("._", ".~", "word work file", "_egn_.", ".smbdelete")
_ENDS = (".", "~", "._attribs_", "._rights_", "._egn_", "_egnmeta", ".tmp", "-spotlight", ".ac$", ".sv$", ".~vsdx")
_PATTERNS = re.compile(
    r"~.*(\.idlk|\.xlsx|\.pptx)( \(deleted\))?"
    r"|~\$.*(\.docx?|\.rtf|\.pptx?|\.xlsm|\.sldlfp|\.slddrw|\.sldprt|\.sldasm)( \(deleted\))?"
    r"|atmp\d{4}|.*\.sas\.b\d\d|aa[a-z]\d{5}|.*\.\$\$\$",
    re.S,
)


def key(name: str) -> str:
    """Names with the same key are the same name."""
    return name.lower()


def problem(name: str, *, folder: bool) -> str | None:
    """Why Egnyte does not take a name; None if it does."""
    lower = name.lower()
    if not name or name != name.strip(" ") or _CHARACTERS.search(name):
        return "contains unsupported characters"
    if len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX:
        return "is too long"
    if lower in _EXACT or lower.startswith(_STARTS) or lower.endswith(_ENDS) or _PATTERNS.fullmatch(lower):
        return "is filtered out"
    if folder and (lower in (".data", ".tmp") or lower.startswith(".spotlight-")):
        return "is filtered out"
    return None
