"""What rows are made by: a ViewDefinition, or one of the ready tables that join several resources of a patient."""

from functools import lru_cache

from app.export.files import Sink
from app.export.joined import JoinedRows
from app.export.shapes import Look, Pseudonyms, Shape
from app.export.tables import ViewRows, compiled, table
from app.fhir.json import parse_object
from app.fhir.outcomes import Issue, Refused
from app.views import View
from app.views.ready import SqlTable, ready_tables

LIBRARY = "Library"


@lru_cache(64)
def source_of(text: str | bytes) -> View | SqlTable:
    """What the text of a ViewDefinition, or of the Library of a ready table, makes rows by. Raises Refused.

    The SQL of a ready table is ours: of a Library only the name is taken.
    """
    definition = parse_object(text.encode() if isinstance(text, str) else text)
    if definition.get("resourceType") != LIBRARY:
        return compiled(text)
    found = next((one for one in ready_tables().values() if one.definition.get("url") == definition.get("url")), None)
    if not isinstance(found, SqlTable):
        raise Refused([Issue("not-supported", "SQL is run only of the tables that come with this server.", LIBRARY)])
    return found


def types_of(source: View | SqlTable) -> tuple[str, ...]:
    """The types of the resources its rows are made of."""
    return source.resources if isinstance(source, SqlTable) else (source.resource,)


class ViewTables:
    """What makes files of tables for export jobs (app/export/shapes.py, Tables)."""

    def types_of(self, view: str) -> tuple[str, ...]:
        return types_of(source_of(view))

    def is_joined(self, view: str) -> bool:
        return isinstance(source_of(view), SqlTable)

    def shape(self, view: str, format_: str, sink: Sink, look: Look, pseudonyms: Pseudonyms | None) -> Shape:
        source = source_of(view)
        if isinstance(source, SqlTable):
            return JoinedRows(source, table(format_, source.columns), sink, look, pseudonyms)
        return ViewRows(source, format_, sink, pseudonyms)
