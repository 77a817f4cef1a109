"""Sets of values that operators have."""

from typing import Any

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"
PREFERRED = {
    "preferredDuringSchedulingIgnoredDuringExecution": [
        {
            "weight": 1,
            "preference": {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]},
        }
    ]
}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "topology.kubernetes.io/zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "server"}},
}
# Each has a part of the chart that the defaults leave out.
SETS: dict[str, dict[str, Any]] = {
    "cert-manager": {
        "tls": {
            "source": "cert-manager",
            "certManager": {"issuerRef": {"name": "internal", "kind": "ClusterIssuer"}},
            "authority": {"configMapName": "internal-authority", "key": "bundle.pem"},
        },
    },
    "existing": {
        "tls": {
            "source": "existing",
            "existing": {"secretName": "own-tls"},
            "authority": {"pem": CERTIFICATE},
        },
        "tokenSecret": {"existingSecretName": "own-secret", "key": "bytes"},
    },
    "control-plane": {
        "server": {
            "hostNetwork": True,
            "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
            "tolerations": [{"operator": "Exists"}],
        },
    },
    "web-identity": {
        "server": {"webIdentity": {"roleArn": "arn:aws:iam::111122223333:role/rolecall"}},
    },
    "everything": {
        "fullnameOverride": "keys",
        "commonLabels": {"team": "platform"},
        "imagePullSecrets": [{"name": "registry"}],
        "server": {
            "replicas": 1,
            "image": {"registry": "registry.example.com:5000", "digest": f"sha256:{'a' * 64}"},
            "serviceAccount": {"annotations": {"a": "b"}},
            "extraEnv": [{"name": "AWS_REGION", "value": "eu-west-1"}],
            "extraVolumes": [{"name": "aws", "secret": {"secretName": "aws"}}],
            "extraVolumeMounts": [{"name": "aws", "mountPath": "/aws"}],
            "podLabels": {"c": "d"},
            "podAnnotations": {"e": "f"},
            "affinity": {"nodeAffinity": PREFERRED},
            "topologySpreadConstraints": [SPREAD],
        },
        "agent": {
            "image": {"tag": "next"},
            "servers": ["keys.example.com:8443", "[fd00::1]:8443"],
            "serverName": "keys.example.com",
            "serviceAccount": {"name": "watchman", "annotations": {"a": "b"}},
            "extraEnv": [{"name": "A", "value": "b"}],
            "podLabels": {"c": "d"},
            "podAnnotations": {"e": "f"},
            "affinity": {"nodeAffinity": PREFERRED},
            "updateStrategy": {"type": "OnDelete"},
        },
        "nodeGuard": {"enabled": False},
        "warnings": {"enabled": False},
        "metrics": {"services": {"enabled": False}},
    },
}
