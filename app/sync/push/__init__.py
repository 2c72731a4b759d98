"""Push: what is written here reaches every target."""
