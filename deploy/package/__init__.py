"""The Debian package for a device: see docs/jetson.md."""
