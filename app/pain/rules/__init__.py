"""The guideline rules: their files, the language they are written in, and what they say of a patient."""
