"""Validation: definitions compiled once to a rule tree, every resource checked against it."""

from app.validation.validator import Validator, load_validator

__all__ = ["Validator", "load_validator"]
