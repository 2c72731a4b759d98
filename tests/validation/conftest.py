import pytest

from app.validation import Validator, load_validator


@pytest.fixture(scope="session")
def validator() -> Validator:
    return load_validator()
