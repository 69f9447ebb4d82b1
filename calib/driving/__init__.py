"""Where cameras are mounted, seen from the car driving: no board, no target."""
