"""Attacks a running service: valid requests, changed until they are not. `make fuzz` runs it; see __main__."""
