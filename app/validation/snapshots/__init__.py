"""Differentials made into snapshots, and what makes a profile unusable."""
