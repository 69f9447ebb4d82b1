"""What is added to NVIDIA's root file system before it is flashed."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.flash.matrix import FlashError

INBOX = "var/lib/octoview-install"
UNIT = "octoview-install.service"

_UNIT = """\
[Unit]
Description=OctoView: first installation
Wants=network-online.target
After=network-online.target
ConditionPathExists=/{inbox}/pending
StartLimitIntervalSec=0

[Service]
Type=oneshot
Environment=DEBIAN_FRONTEND=noninteractive
# A power cut may have ended the last try at any point.
ExecStartPre=-/usr/bin/dpkg --configure -a
ExecStartPre=-/usr/bin/apt-get update
ExecStart=/usr/bin/apt-get install --yes --no-install-recommends {packages}
ExecStartPost=/usr/bin/rm -f /{inbox}/pending
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Added:
    """One file of the overlay: `path` below the root, with `text`, a copy of `source`, or a
    symbolic link to `link`. `user`: its owner by name, else root."""

    path: str
    mode: int = 0o644
    text: str | None = None
    source: Path | None = None
    link: str | None = None
    user: str | None = None


def overlay(package: Path, more: list[Path], user: str, ssh_key: Path) -> list[Added]:
    """Files that install `package` (with the packages `more` beside it) at the first start, and
    let `user` in by `ssh_key` alone. Raises FlashError for a key that is none."""
    key = read_ssh_key(ssh_key)
    packages = [package, *more]
    names = " ".join(f"/{INBOX}/{path.name}" for path in packages)
    home = f"home/{user}/.ssh"
    return [
        *(Added(f"{INBOX}/{path.name}", source=path) for path in packages),
        Added(f"{INBOX}/pending", text=""),
        Added(f"etc/systemd/system/{UNIT}", text=_UNIT.format(inbox=INBOX, packages=names)),
        Added(f"etc/systemd/system/multi-user.target.wants/{UNIT}", link=f"../{UNIT}"),
        Added(home, 0o700, user=user),
        Added(f"{home}/authorized_keys", 0o600, text=key + "\n", user=user),
        # There is no password to type: whoever holds the key may administer.
        Added(f"etc/sudoers.d/{user}", 0o440, text=f"{user} ALL=(ALL) NOPASSWD: ALL\n"),
        Added("etc/ssh/sshd_config.d/octoview.conf", text="PasswordAuthentication no\n"),
    ]


def apply(files: list[Added], rootfs: Path) -> None:
    """Write the overlay into the root file system. Raises FlashError for an unknown owner."""
    for added in files:
        path = rootfs / added.path
        if added.text is None and added.source is None and added.link is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        if added.link is not None:
            path.symlink_to(added.link)
            continue
        if added.source is not None:
            shutil.copyfile(added.source, path)
        elif added.text is not None:
            path.write_text(added.text, encoding="utf-8")
        path.chmod(added.mode)
        if added.user and os.geteuid() == 0:
            os.chown(path, *_ids(rootfs, added.user))


def lock_password(rootfs: Path, user: str) -> None:
    """No password opens the account. Raises FlashError when the user was not made."""
    path = rootfs / "etc/shadow"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not any(line.startswith(f"{user}:") for line in lines):
        raise FlashError(f"{path}: has no {user}; l4t_create_default_user.sh did not make it")
    fields = [line.split(":") for line in lines]
    locked = [[f[0], "!", *f[2:]] if f[0] == user else f for f in fields]
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_text("\n".join(":".join(f) for f in locked) + "\n", encoding="utf-8")
    path.chmod(mode)


def read_ssh_key(path: Path) -> str:
    """The public key in a file. Raises FlashError for anything else, a private key above all."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FlashError(f"{path}: can't be read; give a public key such as id_ed25519.pub") from (
            error
        )
    if not re.fullmatch(r"(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/=]+( [^\n]*)?", text):
        raise FlashError(f"{path}: is no public SSH key; give one such as id_ed25519.pub")
    return text


def _ids(rootfs: Path, user: str) -> tuple[int, int]:
    for line in (rootfs / "etc/passwd").read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == user:
            return int(fields[2]), int(fields[3])
    raise FlashError(f"{rootfs}/etc/passwd: has no {user}; see l4t_create_default_user.sh's output")
