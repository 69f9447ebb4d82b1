"""The signed statement beside a package: which bytes, which version, for which device.

`octoview_0.2.0_arm64.deb` travels with `….deb.release`, a small JSON file, and its signature
`….deb.release.sig`: Ed25519 (RFC 8032) by OpenSSL, which every JetPack has. The keys that may sign
an update are those that the running version carries in `keys/*.pem`; so a release signed with the
old key brings the new one (docs/jetson.md, Keys).
"""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.errors import DeployError

SCHEMA = "octoview.release/1"


class ReleaseError(DeployError):
    """A package is not one that this device may install."""


@dataclass(frozen=True)
class Release:
    """What the signer says of a package file."""

    version: str
    target: str
    sha256: str
    size: int


def statement_path(package: Path) -> Path:
    return package.with_name(package.name + ".release")


def signature_path(package: Path) -> Path:
    return package.with_name(package.name + ".release.sig")


def sign(package: Path, version: str, target: str, key: Path) -> Release:
    """Write the statement and its signature beside `package`; `key` is a private PEM file.

    Raises ReleaseError when OpenSSL refuses the key.
    """
    release = Release(version, target, sha256(package), package.stat().st_size)
    statement = statement_path(package)
    content = {"schema": SCHEMA, **asdict(release)}
    statement.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    signature = signature_path(package)
    done = _openssl(
        "-sign", "-inkey", str(key), "-rawin", "-in", str(statement), "-out", str(signature)
    )
    if done.returncode:
        statement.unlink()
        raise ReleaseError(
            f"{key}: openssl can't sign with it; make an Ed25519 key: "
            "openssl genpkey -algorithm ed25519 -out release.key"
        )
    return release


def verify(package: Path, keys: Sequence[Path]) -> Release:
    """What the statement of `package` says, after its signature and the package's bytes agree.

    Raises ReleaseError for a missing or foreign signature, and for other bytes than signed.
    """
    statement, signature = statement_path(package), signature_path(package)
    for path in (package, statement, signature):
        if not path.is_file():
            raise ReleaseError(f"{path}: no such file; an update is three files: .deb, "
                               ".deb.release and .deb.release.sig")  # fmt: skip
    if not keys:
        raise ReleaseError(
            "the running version trusts no key; install this one with apt, by hand, from a "
            "package built with --trust KEY.pem"
        )
    if not any(_is_signed_by(statement, signature, key) for key in keys):
        raise ReleaseError(
            f"{package}: not signed by a key that this version trusts "
            f"({', '.join(key.stem for key in keys)}); get it from who released it"
        )
    try:
        content = json.loads(statement.read_text(encoding="utf-8"))
        schema = content.pop("schema")
        release = Release(**content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReleaseError(f"{statement}: no statement of a release") from error
    if schema != SCHEMA:
        raise ReleaseError(f"{statement}: is {schema}, this version reads {SCHEMA}")
    if package.stat().st_size != release.size or sha256(package) != release.sha256:
        raise ReleaseError(f"{package}: has other bytes than were signed; copy it again")
    return release


def is_newer(version: str, than: str) -> bool:
    """By Debian's order of versions."""
    command = ["dpkg", "--compare-versions", version, "gt", than]
    return subprocess.run(command, check=False).returncode == 0


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_signed_by(statement: Path, signature: Path, key: Path) -> bool:
    done = _openssl(
        *("-verify", "-pubin", "-inkey", str(key), "-rawin"),
        *("-in", str(statement), "-sigfile", str(signature)),
    )
    return done.returncode == 0


def _openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["openssl", "pkeyutl", *arguments], capture_output=True, check=False, timeout=60
        )
    except FileNotFoundError as error:
        raise ReleaseError("no openssl here; apt-get install openssl") from error
