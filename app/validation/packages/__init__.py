"""Definitions from outside: read from packages or posted, and the validator that knows them."""
