"""Separators and escapes in parameter values (R4 3.1.1.4.0.3)."""

import re

_ESCAPED = re.compile(r"\\([,|$\\])")
_SEPARATORS = str.maketrans({each: f"\\{each}" for each in "\\,|$"})


def split(value: str, separator: str = ",") -> list[str]:
    r"""The parts of a value between separators; one escaped as \, does not separate, and stays escaped."""
    parts, escaped = [""], False
    for character in value:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def unescape(value: str) -> str:
    """The text that a part of a value stands for."""
    return _ESCAPED.sub(r"\1", value)


def escaped(text: str) -> str:
    """A text as a part of a value that stands for just this text."""
    return text.translate(_SEPARATORS)


def codes(value: str) -> list[str]:
    """The codes of a token parameter's value, without their systems."""
    return [unescape(split(part, "|")[-1]) for part in split(value)]
