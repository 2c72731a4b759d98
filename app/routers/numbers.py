"""What may stand for a row in an address: what a database can be asked for at all."""

from typing import Annotated

from fastapi import Path

LARGEST = 2**63 - 1
RowNumber = Annotated[int, Path(ge=0, le=LARGEST)]
# PostgreSQL has no text with this character; nothing is named so.
RowName = Annotated[str, Path(pattern="^[^\x00]+$")]
