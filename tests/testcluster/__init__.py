"""A Kubernetes cluster on one machine, without root and without images, for tests and for people.

`cluster` is what tests use, `controlplane` what runs, `build` where its binaries come from.
"""
