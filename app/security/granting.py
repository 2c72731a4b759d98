"""Which scopes a client gets of those it asks for: what it asks for and may have, both (RFC 6749 3.3)."""

from app.security.grants import FURTHER, NAMED_ONLY, RIGHTS, Grant, further, parse

_ANY = "*"


def granted(asked: str, allowed: str) -> str:
    """The scopes that are granted, separated by spaces; "" for none.

    A scope that may be had whole is told as it was asked for (version 1 stays version 1); one that goes further than
    what is allowed is narrowed.
    """
    may = parse(allowed)
    found: dict[str, None] = {}
    for scope in asked.split():
        if scope in FURTHER:
            found |= dict.fromkeys({scope} & further(allowed))
        for grant in parse(scope):
            if any(_within(grant, other) for other in may):
                found[scope] = None
            else:
                common = (_common(grant, other) for other in may)
                found |= dict.fromkeys(_text(each) for each in common if each)
    return " ".join(found)


def _within(grant: Grant, other: Grant) -> bool:
    """Whether all that one grants is granted by the other."""
    return _common(grant, other) == grant


def _common(one: Grant, other: Grant) -> Grant | None:
    """What both grant."""
    kind = _type(one.type, other.type)
    rights = one.rights & other.rights
    if one.context != other.context or not kind or not rights:
        return None
    # Parameters of a search add up, and a value that is given twice must hold twice.
    queries = dict.fromkeys(each for each in (one.query, other.query) if each)
    return Grant(one.context, kind, rights, "&".join(queries))


def _type(one: str, other: str) -> str:
    if one == other or other == _ANY:
        return one if one == other or one not in NAMED_ONLY else ""
    return other if one == _ANY and other not in NAMED_ONLY else ""


def _text(grant: Grant) -> str:
    """A grant as a scope of version 2."""
    rights = "".join(letter for letter in RIGHTS if letter in grant.rights)
    return f"{grant.context}/{grant.type}.{rights}" + (f"?{grant.query}" if grant.query else "")
