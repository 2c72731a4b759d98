"""What can stand in an address in place of a type or an id.

Names that begin with _ or $ are reserved in every place (R4 3.1.0, style guide), and so are metadata, ViewDefinition
(no type of R4, routers/views.py) and .well-known (RFC 8615) at the root: they are never a type or an id, so that a
method they do not have is a 405 and not a search for such a resource. AuditEvent (routers/audit.py) is a type for
operations only.
"""

from starlette.convertors import Convertor, register_url_convertor


class _Name(Convertor[str]):
    regex = "[^/_$][^/]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _TypeName(_Name):
    regex = r"(?!(?:metadata|ViewDefinition|\.well-known)(?:/|$))(?!AuditEvent(?:$|/(?!\$)))[^/_$][^/]*"


register_url_convertor("type", _TypeName())
register_url_convertor("id", _Name())

ID = "id"
TYPE = "/{resource_type:type}"
INSTANCE = "/{resource_type:type}/{resource_id:id}"
