"""What R4 says of values, codes, references, Bundles and documents beyond the rule tree, one subject a file."""
