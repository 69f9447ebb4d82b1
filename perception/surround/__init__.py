"""The learned surround head: every camera's scene map into one grid on the ground."""
