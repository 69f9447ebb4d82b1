"""What a package is made of: software bill of materials (CycloneDX 1.5) and list of licences."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any


def sbom(
    site: Path, lock: Mapping[str, tuple[str, str]], version: str, epoch: int
) -> dict[str, Any]:
    """Bill of materials of OctoView `version` and the distributions unpacked in `site`.

    Hashes are those of the wheels. Equal input gives an equal bill: its serial number comes from
    the content, its time is `epoch`. Source: CycloneDX specification, ECMA-424.
    """
    components = [_component(Distribution.at(folder), lock) for folder in _folders(site)]
    content = "\n".join(f"{c['purl']} {c['hashes']}" for c in components)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"octoview {version} {content}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).isoformat(),
            "component": {
                "type": "application",
                "bom-ref": "octoview",
                "name": "octoview",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": "octoview", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def licences(site: Path) -> str:
    """One line for each distribution: name, version, licence, and the files with its text."""
    lines = []
    for folder in _folders(site):
        found = Distribution.at(folder)
        module = site / folder.name.partition("-")[0]
        texts = [
            str(path.relative_to(site))
            for path in (*sorted(folder.rglob("*")), *sorted(module.glob("*")))
            if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
        ]
        where = ", ".join(texts) or "no text in its wheel"
        lines.append(f"{found.metadata['Name']} {found.version}: {_licence(found)} ({where})")
    return "\n".join(lines) + "\n"


def _folders(site: Path) -> list[Path]:
    """Metadata of every distribution but our own."""
    found = (path for path in site.glob("*.dist-info") if not path.name.startswith("octoview-"))
    return sorted(found, key=lambda path: path.name.lower())


def _name(found: Distribution) -> str:
    return str(found.metadata["Name"]).lower().replace("_", "-")


def _component(found: Distribution, lock: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    name = _name(found)
    purl = f"pkg:pypi/{name}@{found.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": found.version,
        "purl": purl,
        "licenses": [{"license": {"name": _licence(found)}}],
        "hashes": [{"alg": "SHA-256", "content": lock[name][1]}] if name in lock else [],
    }


def _licence(found: Distribution) -> str:
    """From the newest field of the metadata that is filled in."""

    def of(name: str) -> list[str]:
        return [str(value) for value in found.metadata.get_all(name) or () if str(value).strip()]

    if expression := of("License-Expression"):
        return expression[0]
    classified = [c for c in of("Classifier") if c.startswith("License :: ")]
    if classified:
        return ", ".join(c.rpartition(" :: ")[2] for c in classified)
    return (of("License") or ["not stated"])[0].strip().splitlines()[0][:80]
