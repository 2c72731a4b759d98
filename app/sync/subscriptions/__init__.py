"""This service as the one that notifies: R4 Subscriptions, and topic-based ones by the R5 backport (version 1.1.0).

What was written is read from the feed, numbered for each Subscription it concerns (numbering.py), and sent from there
until the subscriber has answered (delivery.py). Subscriptions are resources like others; what they may ask for is
judged at the door (reading.py), and their status is changed through it (status.py).
"""
