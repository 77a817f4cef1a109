"""The container-credentials endpoint: who asks is known by a token of the cluster."""
