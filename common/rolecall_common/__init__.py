"""What both sides stand on: clock, backoff, secrets, settings, logs, lifecycle, probes.

Nothing here knows what a pod or a role is.
"""
