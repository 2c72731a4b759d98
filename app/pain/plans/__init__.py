"""A treatment plan: its goals and activities, their doses, and how they worked."""
