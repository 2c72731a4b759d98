"""`python -m app`: the `dermatome` command."""

from app.starting import starting


def run() -> None:
    """Run the command."""
    with starting():
        from app.cli import app
    app()


if __name__ == "__main__":
    run()
