"""The official HL7 validator as a second opinion on our profiles: `make oracle` (python -m tools.oracle)."""
