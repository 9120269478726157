"""How names that are not Unicode text are kept in Parquet, without loss.

Parquet and JSON hold UTF-8. A name in the wild may not be text: bytes that are no UTF-8 (Python shows them as the lone
surrogates U+DC80–U+DCFF) or unpaired surrogates out of a JSON answer. Such a code point is stored as the noncharacter
U+FDD0, which Unicode reserves for a program's own use, followed by its four lower-case hexadecimal digits; a U+FDD0 in
the name itself is stored the same way. Every other name is stored as it is, and reading gives back exactly what was
written: `from_stored(to_stored(text)) == text` for every Python string.
"""

import re

_MARK = "\ufdd0"
_NOT_TEXT = re.compile("[\ud800-\udfff\ufdd0]")
_STORED = re.compile("\ufdd0([0-9a-f]{4})")


def to_stored(text: str) -> str:
    """The text as stored: valid UTF-8, equal to `text` unless it holds surrogates or U+FDD0."""
    if text.isascii():
        return text
    return _NOT_TEXT.sub(lambda found: f"{_MARK}{ord(found.group()):04x}", text)


def from_stored(text: str) -> str:
    """The inverse of `to_stored`."""
    if _MARK not in text:
        return text
    return _STORED.sub(lambda found: chr(int(found.group(1), 16)), text)


def readable(text: str) -> str:
    r"""The text for people's eyes: what is no Unicode text appears as `\xNN` or `\uNNNN`. Not reversible."""

    def shown(found: re.Match[str]) -> str:
        code = ord(found.group())
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return text if text.isascii() else _NOT_TEXT.sub(shown, text)
