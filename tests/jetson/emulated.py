"""`make jetson-test`: the package in an arm64 Debian under emulation, from apt to rollback.

What it shows and what it can't is in docs/jetson.md. Needs root, debootstrap, qemu-user-static,
dpkg-dev and the wheels of the target emulated-arm64 (WHEELS=folder). Prints its steps with the
time that each took; ends with 1 at the first that fails.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from deploy.device.release import sign
from deploy.flash.overlay import INBOX, UNIT, apply, overlay
from deploy.loop.engine import shipped_model
from deploy.package import tree
from deploy.package.build import CARRIERS, Inputs, build, default_epoch
from deploy.package.native import ROOT
from deploy.package.targets import TARGETS
from deploy.self_test import write_reference
from tests.deploy.device.fake import make_key, make_version
from tests.jetson.cut_clip import cut_clip
from tests.jetson.emulated_root import EmulatedRoot

CLIP_S = 0.15
APT = ("apt-get", "-y", "--allow-downgrades")


class Run:
    """The steps, told as they pass."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.started = self.last = time.monotonic()

    def tell(self, text: str) -> None:
        now = time.monotonic()
        print(f"{now - self.started:7.0f} s  (+{now - self.last:.0f})  {text}", flush=True)
        self.last = now


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--headers", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/jetson-test"))
    parser.add_argument("--seeds", type=int, default=50)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    run = Run(work)
    key, public = make_key(work, "release")
    inputs = make_inputs(run, arguments, public)
    first = make_package(run, inputs, "0.1.0", key)
    small = {v: make_small_package(work, v, key, public) for v in ("0.1", "0.2", "0.3")}
    with EmulatedRoot(work / "root") as root:
        run.tell("arm64 Debian 12 by debootstrap and qemu-user")
        (root.folder / "etc/apt/apt.conf.d/unsandboxed").write_text('APT::Sandbox::User "root";\n')
        # Compiling every module would take most of the time, and changes nothing but speed.
        (root.folder / "usr/lib/python3.11/compileall.py").write_text("")
        install(run, root, first)
        power_cuts(run, root, small, arguments.seeds)
        updates(run, root, inputs, first, key)
    run.tell("all passed")
    return 0


def make_inputs(run: Run, arguments: argparse.Namespace, public: Path) -> Inputs:
    """All but the version, with the clip's reference made here, on amd64."""
    clip, reference = run.work / "clip.mcap", run.work / "reference.mcap"
    cut_clip(ROOT / "deploy/samples/hw2.mcap", CLIP_S, clip)
    write_reference(clip, shipped_model(), reference, "onnxruntime")
    run.tell("reference of the clip, on amd64")
    target = TARGETS["emulated-arm64"]
    return Inputs(
        target=target, version="0", epoch=default_epoch(), wheels=arguments.wheels,
        lock=target.lock, rig="hw2", cameras=CARRIERS / "stand-in.yaml", reference=reference,
        clip=clip, keys=(public,), headers=arguments.headers,
    )  # fmt: skip


def make_package(run: Run, inputs: Inputs, version: str, key: Path) -> Path:
    """With the real runtime, signed."""
    done = build(replace(inputs, version=version), run.work / "debs", key)
    megabytes = done.path.stat().st_size / 1e6
    run.tell(f"package {version}, {megabytes:.0f} MB, native kernels: {done.kernels.built}")
    return done.path


def make_small_package(work: Path, version: str, key: Path, public: Path) -> Path:
    """The package's own scripts and commands around a version of a few files."""
    root = work / f"small-{version}"
    shutil.rmtree(root, ignore_errors=True)
    make_version(root / "opt/octoview", version, (public,), files=200)
    tree.lay_out_system(root, version, ROOT / "calib/rigs/hw2.yaml", CARRIERS / "stand-in.yaml")
    (root / "DEBIAN/control").write_text(
        f"Package: octoview\nVersion: {version}\nArchitecture: arm64\nDepends: python3, adduser\n"
        "Maintainer: Nobody <nobody@localhost>\nDescription: small\n"
    )
    package = work / f"small_{version}_arm64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    sign(package, version, "jetson-orin-jp6", key)
    return package


def install(run: Run, root: EmulatedRoot, package: Path) -> None:
    """By apt from a local repository; doctor and self-test on the arm64 runtime."""
    clean(root)  # of what a run before left, half installed perhaps
    repository = root.folder / "srv/repo"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir(parents=True)
    shutil.copy(package, repository)
    index = subprocess.run(
        ["dpkg-scanpackages", "."], cwd=repository, check=True, capture_output=True, text=True
    )
    (repository / "Packages").write_text(index.stdout)
    (root.folder / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repo ./\n")
    root.run(*APT, "update")
    root.run(*APT, "install", "octoview")
    run.tell("apt-get install from a local repository, its self-test passed")
    result = json.loads((root.folder / "var/lib/octoview/health/self-test.json").read_text())
    assert result["passed"] and result["machine"]["system"].endswith("aarch64"), result
    run.tell(
        f"self-test: {result['messages']} messages of {result['ticks']} ticks equal the amd64 "
        f"reference within tolerance, {len(result['beyond'])} fields beyond; "
        f"{result['latency_ms']['tick']['p50'] / 1000:.1f} s a tick under emulation"
    )
    doctor = root.run("octoview", "doctor")
    assert "the loop can run here" in doctor.stdout, doctor.stdout
    run.tell("octoview doctor: the loop can run here")
    expect(root, "0.1.0")


def updates(run: Run, root: EmulatedRoot, inputs: Inputs, first: Path, key: Path) -> None:
    """A newer one; one whose self-test fails, as it carries the reference of another clip; the
    same with one changed byte."""
    clean(root)
    other, wrong = run.work / "other.mcap", run.work / "wrong.mcap"
    cut_clip(ROOT / "deploy/samples/hw2.mcap", CLIP_S - 0.1, other)
    write_reference(other, shipped_model(), wrong, "onnxruntime")
    packages = {
        "0.1.0": first,
        "0.1.1": make_package(run, inputs, "0.1.1", key),
        "0.1.2": make_package(run, replace(inputs, reference=wrong), "0.1.2", key),
    }
    inbox = fill_inbox(root, packages)

    def name(version: str) -> str:
        return f"/root/inbox/{packages[version].name}"

    root.run(*APT, "install", name("0.1.0"))
    root.run("octoview-device", "update", name("0.1.1"))
    root.run("octoview-device", "choose")
    root.run("octoview-device", "keep")
    expect(root, "0.1.1")
    run.tell("update to 0.1.1, kept")

    refused = root.run("octoview-device", "update", name("0.1.2"), code=2)
    assert "self-test failed" in refused.stderr, refused.stderr
    expect(root, "0.1.1")
    run.tell(f"broken update: {refused.stderr.strip()}")

    tampered = inbox / packages["0.1.2"].name
    with tampered.open("r+b") as file:
        file.seek(10_000_000)
        byte = file.read(1)
        file.seek(10_000_000)
        file.write(bytes([byte[0] ^ 1]))
    refused = root.run("octoview-device", "update", name("0.1.2"), code=2)
    assert "other bytes than were signed" in refused.stderr, refused.stderr
    run.tell(f"tampered package: {refused.stderr.strip()}")


def roll_back(run: Run, root: EmulatedRoot, inbox: dict[str, str]) -> None:
    """An older one is refused, then asked for; it never gets healthy."""
    clean(root)
    root.run(*APT, "install", inbox["0.2"])
    refused = root.run("octoview-device", "update", inbox["0.1"], code=2)
    assert "is not newer" in refused.stderr, refused.stderr
    root.run("octoview-device", "update", "--allow-downgrade", inbox["0.1"])
    started = []
    for _ in range(4):
        root.run("octoview-device", "choose")
        started.append((root.folder / "run/octoview-device/slot").readlink().name)
    assert started == ["0.1"] * 3 + ["0.2"], started
    run.tell("downgrade refused, then asked for; three starts without health, rolled back")


def power_cuts(run: Run, root: EmulatedRoot, small: dict[str, Path], seeds: int) -> None:
    """kill -9 in the middle of the first boot, an upgrade by apt and an update."""
    recording = root.folder / "var/lib/octoview/log/drive.mcap"
    fill_inbox(root, small)
    (root.folder / "etc/apt/sources.list").write_text("")
    inbox = {version: f"/root/inbox/{path.name}" for version, path in small.items()}
    roll_back(run, root, inbox)
    verbs = {
        "first boot": ("sh", "-ec", first_boot(run, root, small["0.1"])),
        "upgrade": (*APT, "install", inbox["0.2"]),
        "update": ("octoview-device", "update", inbox["0.3"]),
    }
    pending = root.folder / INBOX / "pending"
    seconds: dict[str, float] = {}
    clean(root)
    for verb, words in verbs.items():
        began = time.monotonic()
        root.run(*words)
        seconds[verb] = time.monotonic() - began
    assert not pending.exists()
    run.tell(f"uncut: {', '.join(f'{verb} {s:.1f} s' for verb, s in seconds.items())}")
    cut = dict.fromkeys(verbs, 0)
    for seed in range(seeds):
        chance = random.Random(seed)
        verb = list(verbs)[seed % 3]
        clean(root)
        pending.touch()
        if verb != "first boot":
            root.run(*verbs["first boot"])
        recording.parent.mkdir(parents=True, exist_ok=True)
        content = chance.randbytes(4096)
        recording.write_bytes(content)
        after = chance.uniform(0.1, 1.0) * seconds[verb]
        cut[verb] += root.run_and_kill(*verbs[verb], after_s=after)
        # The next boot: what is installed starts, and the unit of the first boot goes on.
        if verb == "first boot" and pending.exists():
            root.run(*verbs[verb])
        start(root)
        if verb == "upgrade":  # and a person does it again
            root.run("dpkg", "--configure", "-a", code=None)
            root.run(*verbs[verb])
            start(root)
        assert recording.read_bytes() == content
    told = ", ".join(f"{count} in {verb}" for verb, count in cut.items())
    run.tell(
        f"{seeds} power cuts, {told} before its end: each time a version starts, recording whole"
    )


def start(root: EmulatedRoot) -> None:
    """As octoview.service does; the version chosen says its name."""
    root.run("octoview-device", "choose")
    slot = (root.folder / "run/octoview-device/slot").readlink()
    said = root.run(f"{slot}/bin/octoview", "run").stdout
    assert said == f"{slot.name} run\n", said


def first_boot(run: Run, root: EmulatedRoot, package: Path) -> str:
    """The steps of the overlay's unit as systemd takes them, and its files in the root."""
    key = run.work / "id.pub"
    key.write_text("ssh-ed25519 AAAA anna\n")
    files = {file.path: file for file in overlay(package, [], "anna", key)}
    apply([file for path, file in files.items() if path.startswith(INBOX)], root.folder)
    unit = files[f"etc/systemd/system/{UNIT}"].text or ""
    steps = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("Exec")]
    return "\n".join(f"{step[1:]} || true" if step[0] == "-" else step for step in steps)


def fill_inbox(root: EmulatedRoot, packages: dict[str, Path]) -> Path:
    """Packages with their statements and signatures in the root's /root/inbox."""
    inbox = root.folder / "root/inbox"
    shutil.rmtree(inbox, ignore_errors=True)
    inbox.mkdir()
    for package in packages.values():
        for suffix in ("", ".release", ".release.sig"):
            shutil.copy(f"{package}{suffix}", inbox)
    return inbox


def clean(root: EmulatedRoot) -> None:
    root.run("dpkg", "--purge", "--force-all", "octoview", code=None)
    for name in ("var/lib/octoview", "opt/octoview", "run/octoview-device"):
        shutil.rmtree(root.folder / name, ignore_errors=True)


def expect(root: EmulatedRoot, version: str) -> None:
    """The device's own report names the version, with every byte checked."""
    report = json.loads(root.run("octoview-device", "report").stdout)
    assert report["running"]["version"] == version, report["running"]
    assert report["running"]["error"] is None


if __name__ == "__main__":
    sys.exit(main())
