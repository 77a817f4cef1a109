"""Nodes that are not played: kubelet, containerd and runc, each node in namespaces of its own.

All of it is in a network that has no link to this computer's, and ends with the processes that hold
it. It needs root.
"""
