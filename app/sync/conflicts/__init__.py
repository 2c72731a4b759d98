"""Conflicts: what both sides have changed, and who wins."""
