"""Other people's recordings, made into logs: one module for each kind."""
