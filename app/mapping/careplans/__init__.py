"""A treatment plan as CarePlan, Goals and requests, and what was done of it."""
