"""The versions of everything that the test cluster is made of: here, and nowhere else."""

from typing import Final

# The newest Kubernetes, which every test runs against, and the oldest one that we speak with.
NEWEST: Final = "1.37.2"
OLDEST: Final = "1.34.4"
KUBERNETES: Final = (NEWEST, OLDEST)

# Debian's etcd is 3.4, which cannot serve the API server's streaming lists.
ETCD: Final = "3.6.16"
KWOK: Final = "0.8.0"
HELM: Final = "3.22.0"

# What Kubernetes 1.37 asks of the compiler; requirements/go.txt pins one for machines without.
GO_AT_LEAST: Final = (1, 26)
