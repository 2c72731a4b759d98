"""Rights of the patient: erasure and merge."""
