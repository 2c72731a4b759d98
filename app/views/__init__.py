"""Tables of resources: ViewDefinitions of SQL on FHIR, and SQL over their rows."""

from app.views.columns import Column
from app.views.view import View, compile_view

__all__ = ["Column", "View", "compile_view"]
