"""An instrument, its answers and its scores."""
