"""Many logs replayed: on this machine's processes, or on a Ray cluster."""
