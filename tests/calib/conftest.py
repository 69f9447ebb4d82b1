"""Settings of the calib tests."""

from hypothesis import settings

# A busy machine is no failure: no time limit for a single example.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
