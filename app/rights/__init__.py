"""Rights of the patient: erasure, and the merge of two records of one person (docs/patient-rights.md)."""
