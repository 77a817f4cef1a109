"""Files that tell kubectl, Helm and the control plane's parts where the API server is."""

from pathlib import Path

import yaml

from testcluster.authority import Authority, KeyPair, write_private


def write_kubeconfig(file: Path, url: str, authority: Authority, user: KeyPair) -> None:
    """Write a configuration with one cluster and one *user*."""
    name = "test-cluster"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": url, "certificate-authority": str(authority.bundle)},
            }
        ],
        "users": [
            {
                "name": file.stem,
                "user": {
                    "client-certificate": str(user.certificate),
                    "client-key": str(user.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": file.stem}}],
        "current-context": name,
    }
    write_private(file, yaml.safe_dump(document, sort_keys=False).encode())
