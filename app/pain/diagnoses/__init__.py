"""A diagnosis: its codes, its NeuPSIG grade and what is presumed behind it."""
