"""A diagnosis as Condition, with its grade, its etiology and whether it is refractory."""
