"""CDS Hooks: what is asked, what is answered, and what became of the answer."""
