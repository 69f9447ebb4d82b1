"""Check of a rig against a log."""
