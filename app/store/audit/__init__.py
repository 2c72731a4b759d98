"""Who did what: noting accesses and changes, sealing what was noted, and finding it again."""
