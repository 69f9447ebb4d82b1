"""Known vulnerabilities without a network: versions held against a folder of advisories.

    python tests/audit/offline.py ADVISORIES

ADVISORIES is a checkout of https://github.com/pypa/advisory-database, which is as old as its newest
commit. Checked are the locks of the packages and what is installed in this environment. The format
of an advisory: https://ossf.github.io/osv-schema.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from deploy.package.wheels import read_lock

LOCKS = Path(__file__).resolve().parents[2] / "deploy/package/locks"


def known(name: str, version: str, folder: Path) -> Iterator[str]:
    """Advisories, by id, that name this version of a distribution."""
    for path in sorted((folder / "vulns" / normal(name)).glob("*.yaml")):
        advisory = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "withdrawn" not in advisory and any(
            _names(affected, version) for affected in advisory["affected"]
        ):
            yield advisory["id"]


def normal(name: str) -> str:
    """As PyPI does it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Version of each distribution in this environment, but for our own."""
    found = {normal(one.metadata["Name"]): one.version for one in distributions()}
    return {name: version for name, version in found.items() if name != "octoview"}


def _names(affected: Mapping[str, Any], version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    return any(
        _within(one["events"], version)
        for one in affected.get("ranges", ())
        if one["type"] == "ECOSYSTEM"
    )


def _within(events: list[dict[str, str]], version: str) -> bool:
    """Whether the version lies between `introduced` and `fixed`, or up to `last_affected`."""
    here, inside = Version(version), False
    for event in sorted(events, key=lambda one: _place(next(iter(one.values())))):
        ((kind, text),) = event.items()
        place = _place(text)
        if kind == "introduced" and place <= here:
            inside = True
        elif (kind == "fixed" and place <= here) or (kind == "last_affected" and place < here):
            inside = False
    return inside


def _place(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def main() -> None:
    folder = Path(sys.argv[1])
    if not (folder / "vulns").is_dir():
        sys.exit(f"{folder}: has no vulns/; give a checkout of pypa/advisory-database")
    sets = {path.stem: {n: v for n, (v, _) in read_lock(path).items()} for path in LOCKS.iterdir()}
    sets["installed here"] = installed()
    vulnerable = False
    for title, versions in sorted(sets.items()):
        found = {n: [*known(n, v, folder)] for n, v in versions.items()}
        told = [f"{n} {versions[n]}: {', '.join(ids)}" for n, ids in found.items() if ids]
        listed = sum((folder / "vulns" / normal(name)).is_dir() for name in versions)
        print(f"{title}: {len(versions)} distributions, {listed} ever had an advisory;", end=" ")
        print("; ".join(told) or "none names these versions")
        vulnerable |= bool(told)
    sys.exit(vulnerable)


if __name__ == "__main__":
    main()
