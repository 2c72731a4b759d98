"""What a cohort is asked about: what counts, what was asked for, and what of it may be told."""
