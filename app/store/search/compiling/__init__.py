"""The tree of a search as SQL conditions over the index: values by type, and criteria that join them."""
