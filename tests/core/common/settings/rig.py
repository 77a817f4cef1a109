"""The server's settings, as somebody writes them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rolecall_common.settings.declare import SettingsError
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.settings import Settings

REQUIRED: dict[str, Raw] = {"manifests": "pods", "tls_certificate": "tls.crt", "tls_key": "tls.key"}


def read(
    flags: Mapping[str, Raw] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    return load_settings(Settings, {**REQUIRED, **(flags or {})}, environ or {}, file)


def problems(
    flags: Mapping[str, Raw] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(flags, environ, file)
    return [str(problem) for problem in caught.value.problems]


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text)
    return file
