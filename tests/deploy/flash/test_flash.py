"""octoview flash against a tree whose scripts write down how they were called."""

import os

import pytest

from deploy.flash import bsp as bsp_checks
from deploy.flash.matrix import BOARDS, MATRIX
from deploy.package.targets import TARGETS
from tests.deploy.command_line import Octoview
from tests.deploy.flash.conftest import KEY, Bench, make_package

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NVIDIA's tools need root, and so do these")


def test_dry_run_shows_each_command_and_file_and_changes_nothing(
    bench: Bench, octoview: Octoview
) -> None:
    before = bench.files()
    bench.usb.write_text("")  # a rehearsal needs no device
    done = octoview("flash", *bench.arguments(), "--dry-run")
    assert done.code == 0
    assert (
        "run  ./tools/kernel_flash/l4t_initrd_flash.sh --external-device nvme0n1p1 "
        "-c tools/kernel_flash/flash_l4t_t234_nvme.xml "
        "-p '-c bootloader/generic/cfg/flash_t234_qspi.xml' --showlogs --network usb0 "
        "jetson-orin-nano-devkit-super internal"
    ) in done.out
    assert "tools/l4t_create_default_user.sh --username anna --hostname car7" in done.out
    assert "rootfs/var/lib/octoview-install/octoview-jetson-orin-jp6.deb" in done.out
    assert "rootfs/home/anna/.ssh/authorized_keys 0600 anna" in done.out
    assert bench.files() == before
    assert bench.called() == []


@as_root
def test_flashing_calls_nvidias_scripts_and_adds_what_the_rehearsal_showed(
    bench: Bench, octoview: Octoview
) -> None:
    before = bench.files()
    rehearsal = octoview("flash", *bench.arguments(), "--dry-run").out
    assert octoview("flash", *bench.arguments()).code == 0
    called = bench.called()
    user = called[: called.index("tools/l4t_create_default_user.sh")]
    assert user[:-1] == [
        *("--username", "anna", "--hostname", "car7", "--accept-license", "--password")
    ]
    flash = called[called.index("tools/l4t_create_default_user.sh") + 1 :]
    assert flash[-3:] == [
        "jetson-orin-nano-devkit-super",
        "internal",
        "tools/kernel_flash/l4t_initrd_flash.sh",
    ]
    assert "-c bootloader/generic/cfg/flash_t234_qspi.xml" in flash  # one word
    added = {p for p in bench.files() - before if not (bench.tree / p).is_dir()}
    shown = {line.split()[1] for line in rehearsal.splitlines() if line.startswith("add  ")}
    assert added <= shown

    rootfs = bench.tree / "rootfs"
    keys = rootfs / "home/anna/.ssh/authorized_keys"
    assert keys.read_text() == KEY
    assert (keys.stat().st_mode & 0o777, keys.stat().st_uid) == (0o600, 1000)
    shadow = (rootfs / "etc/shadow").read_text()
    assert "anna:!:" in shadow and "secret-hash" not in shadow
    packed = rootfs / "var/lib/octoview-install/octoview-jetson-orin-jp6.deb"
    assert packed.read_bytes() == bench.package.read_bytes()
    wanted = rootfs / "etc/systemd/system/multi-user.target.wants/octoview-install.service"
    assert wanted.resolve().read_text().count("octoview-jetson-orin-jp6.deb") == 1


@as_root
def test_two_flashes_have_different_passwords(bench: Bench, octoview: Octoview) -> None:
    passwords = set()
    for _ in range(2):
        bench.calls.unlink(missing_ok=True)
        assert octoview("flash", *bench.arguments()).code == 0
        called = bench.called()
        passwords.add(called[called.index("--password") + 1])
    assert len(passwords) == 2
    assert all(len(password) >= 32 for password in passwords)


@as_root
def test_massflash_makes_a_package_and_flashes_nothing(bench: Bench, octoview: Octoview) -> None:
    assert octoview("flash", *bench.arguments(massflash=5)).code == 0
    flash = bench.called()[-16:]
    assert flash[flash.index("--no-flash") :][:3] == ["--no-flash", "--massflash", "5"]


@as_root
def test_a_script_that_fails_is_told_with_its_log(bench: Bench, octoview: Octoview) -> None:
    script = bench.tree / "tools/l4t_create_default_user.sh"
    bench.calls.mkdir()  # the script's own first step fails
    assert script.is_file()
    done = octoview("flash", *bench.arguments())
    assert done.code == 2
    assert "has no anna" in done.err or "ended with" in done.err


REFUSALS: list[tuple[dict[str, object], str]] = [
    ({"board": "xavier"}, "--board xavier: unknown; choose orin-nano"),
    ({"l4t": "35.5.0"}, "not known to work with orin-nano; choose 36.4.3, 36.4.4, 39.2.1"),
    ({"l4t": "38.4"}, "not known to work with orin-nano"),
    ({"l4t": "36.4.3"}, "is L4T 36.4.4, not 36.4.3"),
    ({"sha256": "0" * 64}, "its SHA-256 is not --sha256"),
    ({"sha256": "abc"}, "is no SHA-256"),
    ({"board": "agx-orin"}, "Orin Nano 8GB in recovery mode (0955:7523), but --board agx-orin"),
    ({"user": "root"}, "root has no login"),
    ({"user": "a b"}, "small letters"),
    ({"hostname": "-x"}, "small letters"),
]


@pytest.mark.parametrize(("changes", "says"), REFUSALS)
def test_a_bad_order_is_refused_before_anything_is_touched(
    bench: Bench, octoview: Octoview, changes: dict[str, object], says: str
) -> None:
    before = bench.files()
    done = octoview("flash", *bench.arguments(**changes))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err
    assert bench.files() == before
    assert bench.called() == []


def _other_package(bench: Bench) -> None:
    bench.package.write_bytes(make_package(bench.folder, "jetson-thor-jp7").read_bytes())


def _no_package(bench: Bench) -> None:
    bench.package.write_bytes(b"no package")


def _private_key(bench: Bench) -> None:
    bench.key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")


def _changed_script(bench: Bench) -> None:
    with (bench.tree / "l4t_initrd_flash.sh").open("a") as file:
        file.write("rm -rf /\n")


def _unprepared(bench: Bench) -> None:
    (bench.tree / "rootfs/etc/nv_tegra_release").unlink()


def _no_device(bench: Bench) -> None:
    bench.usb.write_text("Bus 001 Device 002: ID 0955:cf00 NVIDIA running Jetson\n")


def _two_devices(bench: Bench) -> None:
    bench.usb.write_text("ID 0955:7523 APX\nID 0955:7323 APX\n")


def _no_config(bench: Bench) -> None:
    (bench.tree / "jetson-orin-nano-devkit-super.conf").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_other_package, "is for jetson-thor-jp7; orin-nano with L4T 36.4.4 needs one for jetson-"),
        (_no_package, "no Debian package"),
        (_private_key, "is no public SSH key"),
        (_changed_script, "l4t_initrd_flash.sh: differs from Jetson_Linux_R36.4.4_aarch64.tbz2"),
        (_unprepared, "run apply_binaries.sh"),
        (_no_device, "no Jetson in recovery mode"),
        (_two_devices, "2 Jetsons in recovery mode (Orin Nano 8GB, Orin NX 16GB)"),
        (_no_config, "has no jetson-orin-nano-devkit-super.conf"),
    ],
)
def test_a_bad_world_is_refused_before_anything_is_touched(
    bench: Bench, octoview: Octoview, spoil, says: str
) -> None:
    spoil(bench)
    before = bench.files()
    done = octoview("flash", *bench.arguments())
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err
    assert bench.files() == before
    assert bench.called() == []


def test_too_little_disk_and_no_licence_are_refused(
    bench: Bench, octoview: Octoview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bsp_checks, "FREE_GIB", 10**6)
    assert "flashing needs 1000000; make room" in octoview("flash", *bench.arguments()).err
    words = [word for word in bench.arguments() if word != "--accept-nvidia-license"]
    assert "read it and say --accept-nvidia-license" in octoview("flash", *words).err


def test_every_way_fits_a_target_of_octoview_package() -> None:
    for l4t, ways in MATRIX.items():
        for board, way in ways.items():
            assert board in BOARDS
            assert l4t in TARGETS[way.target].l4t
    products = [product for board in BOARDS.values() for product in board.recovery]
    assert len(products) == len(set(products))
    paired = {l4t for target in TARGETS.values() for l4t in target.l4t}
    assert paired == set(MATRIX)
