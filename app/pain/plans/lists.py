"""The lists of what a plan may name."""

# The key of an activity: the list it names a row of, and the code system of ours that row is written with.
LISTS = {"therapy": ("therapies", "np-therapy"), "order": ("orders", "np-order"), "device": ("devices", "np-device")}
# A code system of ours -> the list its concepts are the rows of.
PLANNED = {system: listing for listing, system in LISTS.values()}
