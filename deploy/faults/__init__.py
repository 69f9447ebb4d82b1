"""Faults: what goes wrong on the road, injected on purpose."""
