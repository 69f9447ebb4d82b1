"""Sources: where live images come from."""
