"""`python -m app`: the `dermatome` command."""

from app.cli import app

app()
