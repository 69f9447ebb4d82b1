"""Measuring: what `octoview bench` times, beside the loop itself."""
