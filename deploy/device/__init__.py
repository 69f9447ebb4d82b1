"""What runs on the device beside the loop: slots, updates, engines, power, report.

Standard library only, so that it works whatever state a version of OctoView is in: the package
puts it into /usr/lib/octoview and the system's own Python runs it.
"""
