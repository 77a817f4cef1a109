"""Which API server is asked, and as whom: read from the pod's own files, or from a kubeconfig."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

# The package's loaders are not typed.
_InCluster: Any = InClusterConfigLoader
_load_kubeconfig: Any = kube_config.load_kube_config

Configure = Callable[[], Awaitable[Configuration]]

# What the loader meets where a file is none.
_NO_KUBECONFIG = (
    *(yaml.YAMLError, RecursionError),
    *(ValueError, TypeError, KeyError, AttributeError),
)

# Beside the token that the kubelet puts into every pod.
_OWN_NAMESPACE = Path(SERVICE_TOKEN_FILENAME).with_name("namespace")


class AccessError(Exception):
    """Nothing says where the API server is, or as whom to ask; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Access:
    """Reads how the API server is reached; asked again whenever that may have changed."""

    kubeconfig: Path | None = None
    context: str | None = None
    lenient_tls: bool = False

    async def __call__(self) -> Configuration:
        """Return the present configuration. Raises AccessError."""
        # The class keeps a default that the constructor would return, were one ever set.
        configuration = Configuration()
        configuration.disable_strict_ssl_verification = self.lenient_tls
        try:
            if self.kubeconfig is None:
                own = _InCluster(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME)
                own.load_and_set(configuration)
            else:
                await _load_kubeconfig(
                    str(self.kubeconfig), self.context, configuration, persist_config=False
                )
        except ConfigException as error:
            raise AccessError(f"{self._where()}: {error}") from error
        except OSError as error:
            raise AccessError(f"{self._where()}: {error.strerror or error}") from error
        except _NO_KUBECONFIG as error:
            # The text may hold a secret.
            raise AccessError(
                f"{self._where()} is no kubeconfig ({type(error).__name__})"
            ) from error
        return configuration

    def _where(self) -> str:
        return (
            "the pod's own access to the API" if self.kubeconfig is None else str(self.kubeconfig)
        )


def is_in_cluster() -> bool:
    """Whether this process runs in a pod that may ask its API server."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def own_namespace() -> str | None:
    """Return the namespace of the pod that this process runs in, where it runs in one."""
    try:
        return _OWN_NAMESPACE.read_text().strip() or None
    except OSError:
        return None
