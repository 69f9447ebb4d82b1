"""Flashing a Jetson with NVIDIA's own tools: see docs/jetson.md."""
