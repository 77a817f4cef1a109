"""The node agent: it follows one stream from a server and answers pods from memory.

Read `app.py` for the wiring, `store/cache.py` for what a node may hold, `metadata/endpoint.py` for
how a pod asks. No Kubernetes access, no AWS access, and no call to anyone on the way of a request.
"""
