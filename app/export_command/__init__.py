"""`dermatome export`: the files of a Bulk Data export in a folder, whole, checked, resumed after what failed."""

from app.export_command.command import export

__all__ = ["export"]
