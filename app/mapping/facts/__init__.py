"""What guideline rules may know of a patient, out of FHIR resources."""
