"""Verify: what a target holds, beside what is here; and putting right what differs."""
