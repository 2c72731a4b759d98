"""Pull: what was written at a target comes here."""
