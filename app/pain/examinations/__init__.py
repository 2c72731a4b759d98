"""An examination: what may be found, how a result is read and what it means."""
