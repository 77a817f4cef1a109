"""Image archives, as `ctr images import` reads them: a layout of the Open Container Initiative."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TYPE = "application/vnd.oci.image"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """A name, layers from the lowest up, and what is run."""

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


def write_archive(file: Path, images: Sequence[Image]) -> None:
    """Write *images* into one archive, in which a layer of several of them is once."""
    with tarfile.open(file, "w") as tar:
        archive = _Archive(tar)
        manifests = [archive.image(image) for image in images]
        archive.document("oci-layout", {"imageLayoutVersion": "1.0.0"})
        archive.document("index.json", {"schemaVersion": 2, "manifests": manifests})


class _Archive:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._blobs: dict[Path, dict[str, Any]] = {}

    def image(self, image: Image) -> dict[str, Any]:
        layers = [self._layer(file) for file in image.layers]
        config = self._json("config.v1+json", _config(image, layers))
        manifest = self._json(
            "manifest.v1+json",
            {
                "schemaVersion": 2,
                "mediaType": f"{_TYPE}.manifest.v1+json",
                "config": config,
                "layers": layers,
            },
        )
        return manifest | {"annotations": {"io.containerd.image.name": image.name}}

    def document(self, name: str, content: dict[str, Any]) -> None:
        self._add(name, json.dumps(content).encode())

    def _layer(self, file: Path) -> dict[str, Any]:
        if file not in self._blobs:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            self._tar.add(file, _blob(digest))
            self._blobs[file] = _descriptor("layer.v1.tar", digest, file.stat().st_size)
        return self._blobs[file]

    def _json(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(content).encode()
        digest = hashlib.sha256(text).hexdigest()
        self._add(_blob(digest), text)
        return _descriptor(kind, digest, len(text))

    def _add(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))


def _config(image: Image, layers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "os": "linux",
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "config": {
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "Env": [f"{name}={value}" for name, value in image.environment.items()],
            "User": image.user,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": f"sha256:{digest}", "size": size}


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"
