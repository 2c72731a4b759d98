"""The XML form of resources (R4 2.6.1), to and from the JSON text that is kept; nothing is lost either way.

fhir.resources cannot do this: it has no R4 models and rewrites decimals.
"""

from app.fhir.xml.places import PostedXml
from app.fhir.xml.reading import Read, from_xml
from app.fhir.xml.writing import to_xml

__all__ = ["PostedXml", "Read", "from_xml", "to_xml"]
