"""A log in the Rerun viewer."""
