"""Health: what state every camera and the machine are in, and how others are told."""
