"""The Kubernetes API: where pods come from, who vouches for agents, where Events go.

`api` is the seam, and `transport` its one real end: HTTP by the client of the `kubernetes` package,
bytes in and bytes out. No model class of that package is imported: building them would cost
seconds and a gigabyte where 10,000 pods are listed.
"""
