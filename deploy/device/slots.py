"""Versions on the device: the one that runs, the one before, and the one on trial.

A version is a folder that is complete or not there. Those of updates lie in STATE/slots, the one
that dpkg installed in FACTORY. Three small files decide which of them runs, each replaced in one
step (durable.py), so that a power cut at any point leaves a device that starts:

    current     link to the version that proved itself last
    previous    link to the one before it
    trial.json  the version on trial and how often it was started
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.device import durable
from deploy.device.seal import SealError, check_sizes
from deploy.errors import DeployError

STARTS = 3
"""Starts that a version on trial gets to prove itself."""

INCOMING = ".incoming"


class SlotError(DeployError):
    """There is no version that can run, or the step asked for is not possible now."""


class Slots:
    """The versions below `state` (such as /var/lib/octoview) and `factory` (/opt/octoview)."""

    def __init__(self, state: Path, factory: Path) -> None:
        self.state, self.factory = state, factory
        self.folder = state / "slots"
        self._current, self._previous = state / "current", state / "previous"
        self._trial, self._refused = state / "trial.json", state / "refused.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One change at a time; the lock goes with the process, even when it is killed.

        Raises SlotError while another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.state / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise SlotError("another update is under way; wait for its end") from error
        finally:
            os.close(descriptor)

    def complete(self) -> list[Path]:
        """Every version that has all its files: updates, then what dpkg installed."""
        found = []
        for folder in (self.folder, self.factory):
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.name != INCOMING and _is_complete(path):
                    found.append(path)
        return found

    def current(self) -> Path:
        """The version that proved itself last; if it is damaged, the one before, then any.

        Raises SlotError when none is complete.
        """
        for link in (self._current, self._previous):
            if link.is_symlink() and _is_complete(link.readlink()):
                return link.readlink()
        others = self.complete()
        # What dpkg installed stands last; a version on trial has proved nothing yet.
        proved = [p for p in others if p != self.on_trial() and p.name not in self.refused()]
        if not (proved or others):
            raise SlotError(
                f"no complete version in {self.folder} or {self.factory}; install the package "
                "again: apt-get install --reinstall octoview"
            )
        return (proved or others)[-1]

    def on_trial(self) -> Path | None:
        """The version on trial, if there is one and it is not yet the current one."""
        path = self._trial_state()[0]
        committed = self._current.is_symlink() and self._current.readlink() == path
        return None if committed else path

    def starts(self) -> int:
        """How often the version on trial was started."""
        return self._trial_state()[1]

    def refused(self) -> dict[str, str]:
        """Versions that failed here, and why."""
        content = _read_json(self._refused)
        return {str(version): str(reason) for version, reason in content.items()}

    def begin_trial(self, slot: Path) -> None:
        """From the next start on `slot` runs, until it is kept or refused.

        Where nothing runs yet there is nothing to fall back to: it is the current one at once.
        """
        check_sizes(slot)
        if not self._current.is_symlink():
            durable.point(self._current, slot)
            return
        refused = self.refused()
        if refused.pop(slot.name, None) is not None:  # a person may try it again
            durable.write_text(self._refused, json.dumps(refused, indent=2) + "\n")
        self._write_trial(slot, 0)

    def choose(self) -> Path:
        """The version to start now. One on trial is counted; after STARTS it is refused.

        Raises SlotError when none is complete.
        """
        slot = self.on_trial()
        if slot is None:
            return self.current()
        if self.starts() >= STARTS:
            self.refuse(f"did not stay up in {STARTS} starts")
            return self.current()
        if not _is_complete(slot):
            self.refuse("is incomplete")
            return self.current()
        self._write_trial(slot, self.starts() + 1)
        return slot

    def uncount(self) -> None:
        """The start just counted ended because someone stopped it: no failure."""
        slot = self.on_trial()
        if slot is not None:
            self._write_trial(slot, max(0, self.starts() - 1))

    def keep(self) -> Path:
        """The version on trial proved itself: it is the current one. Raises SlotError without."""
        slot = self.on_trial()
        if slot is None:
            durable.remove(self._trial)
            raise SlotError("no version is on trial")
        durable.point(self._previous, self.current())
        durable.point(self._current, slot)
        durable.remove(self._trial)
        self.prune()
        return slot

    def refuse(self, reason: str) -> None:
        """End the trial; the current version runs on."""
        slot = self.on_trial()
        if slot is not None:
            content = {**self.refused(), slot.name: reason}
            durable.write_text(self._refused, json.dumps(content, indent=2) + "\n")
        durable.remove(self._trial)
        self.prune()

    def go_back(self) -> Path:
        """Make the previous version the current one. Raises SlotError when there is none."""
        if not (self._previous.is_symlink() and _is_complete(self._previous.readlink())):
            raise SlotError("no previous version is complete; install a package instead")
        target, current = self._previous.readlink(), self.current()
        durable.remove(self._trial)
        durable.point(self._current, target)
        durable.point(self._previous, current)
        return target

    def take_out_of_factory(self) -> None:
        """Copy the current version out of dpkg's hands, if it lies there, before dpkg replaces
        it; so an upgrade by apt can be taken back too."""
        if not self._current.is_symlink():
            return
        current = self.current()
        if current.parent != self.factory:
            return
        incoming = self.fresh_incoming()
        shutil.copytree(current, incoming / current.name, symlinks=True)
        slot = self.admit(incoming / current.name)
        durable.point(self._current, slot)

    def fresh_incoming(self) -> Path:
        """An empty folder on the slots' own file system; what a broken update left is gone."""
        incoming = self.folder / INCOMING
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        return incoming

    def admit(self, folder: Path) -> Path:
        """Move a complete version from the incoming folder among the slots; returns its place.

        Raises SealError when it is not complete.
        """
        check_sizes(folder)
        durable.sync_tree(folder)  # its files must be on the disk before its name is
        slot = self.folder / folder.name
        if slot.exists():
            if slot in (self.current(), self.on_trial()):
                raise SlotError(f"{slot.name} is already here")
            durable.rename(slot, self.folder / INCOMING / "replaced")
        durable.rename(folder, slot)
        shutil.rmtree(self.folder / INCOMING, ignore_errors=True)
        return slot

    def prune(self) -> None:
        """Remove updates that are neither current, previous nor on trial."""
        wanted = {self.current(), self.on_trial()}
        if self._previous.is_symlink():
            wanted.add(self._previous.readlink())
        for path in list(self.folder.iterdir()):
            if path not in wanted:
                # Its manifest first: half a folder must not look like a version.
                (path / "MANIFEST").unlink(missing_ok=True)
                shutil.rmtree(path, ignore_errors=True)

    def _trial_state(self) -> tuple[Path | None, int]:
        content = _read_json(self._trial)
        slot, starts = content.get("slot"), content.get("starts")
        if not (isinstance(slot, str) and isinstance(starts, int)):
            return None, 0
        return Path(slot), starts

    def _write_trial(self, slot: Path, starts: int) -> None:
        content = {"slot": str(slot), "starts": starts}
        durable.write_text(self._trial, json.dumps(content) + "\n")


def _is_complete(slot: Path) -> bool:
    try:
        check_sizes(slot)
    except SealError:
        return False
    return True


def _read_json(path: Path) -> dict[str, object]:
    """Content of a file that durable.py wrote; none where it is missing or was tampered with."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
