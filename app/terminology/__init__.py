"""Code systems and value sets in memory, with three-valued answers."""

from app.terminology.expansion import Answer
from app.terminology.registry import Terminology, load_terminology

__all__ = ["Answer", "Terminology", "load_terminology"]
