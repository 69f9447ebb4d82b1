"""Logs: MCAP files with Foxglove's schemas (docs/logs.md)."""
