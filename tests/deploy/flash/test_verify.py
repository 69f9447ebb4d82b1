"""octoview flash verify against a fake ssh that answers with a report."""

import copy

import pytest

from tests.deploy.command_line import Octoview
from tests.deploy.flash.conftest import Bench, put_ssh

REPORT: dict[str, object] = {
    "schema": "octoview.device/1",
    "running": {
        "version": "0.2.0",
        "target": "jetson-orin-jp6",
        "manifest": "c0ffee",
        "error": None,
    },
    "trial": None,
    "self_test": {"passed": True},
    "engine": {"state": "ready"},
    "jetson": {"model": "NVIDIA Jetson Orin Nano", "l4t": "36.4.4"},
}


def changed(path: str, value: object) -> dict[str, object]:
    report = copy.deepcopy(REPORT)
    place = report
    *folders, last = path.split("/")
    for folder in folders:
        place = place[folder]  # type: ignore[assignment]
    place[last] = value
    return report


def test_a_device_as_packaged_passes_and_ssh_gets_a_list_of_words(
    bench: Bench, octoview: Octoview
) -> None:
    seen = put_ssh(bench, REPORT)
    done = octoview("flash", "verify", "ssh://anna@car7:2222", "--package", bench.package)
    assert done.code == 0
    assert "0.2.0 runs on NVIDIA Jetson Orin Nano, L4T 36.4.4, as packaged" in done.out
    words = seen.read_text().split("\n")
    assert words[-6:-1] == ["2222", "--", "anna@car7", "octoview-device", "report"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("running/version", "0.1.0", "version: packaged 0.2.0, on the device 0.1.0"),
        ("running/manifest", "dead", "files: packaged c0ffee, on the device dead"),
        ("running/error", "x is missing", "no version runs: x is missing"),
        ("jetson/l4t", "36.3", "L4T: 36.3, the package is for 36.4.3, 36.4.4"),
        ("self_test", {}, "self-test: not passed"),
        ("trial", {"version": "0.2.0"}, "still on trial"),
        ("engine", {"state": "failed", "reason": "no TensorRT here"}, "engine: no TensorRT here"),
    ],
)
def test_each_difference_is_told_and_fails(
    bench: Bench, octoview: Octoview, path: str, value: object, says: str
) -> None:
    put_ssh(bench, changed(path, value))
    done = octoview("flash", "verify", "ssh://car7", "--package", bench.package)
    assert done.code == 1
    assert says in done.out


@pytest.mark.parametrize(
    "address", ["car7", "ssh://-oProxyCommand=x", "ssh://a;b@c", "ssh://a b", "http://car7"]
)
def test_what_is_no_address_never_reaches_ssh(
    bench: Bench, octoview: Octoview, address: str
) -> None:
    seen = put_ssh(bench, REPORT)
    done = octoview("flash", "verify", address, "--package", bench.package)
    assert (done.code, "is no address" in done.err) == (2, True)
    assert not seen.exists()


def test_a_device_without_octoview_is_told(bench: Bench, octoview: Octoview) -> None:
    put_ssh(bench, "", 127)
    done = octoview("flash", "verify", "ssh://car7", "--package", bench.package)
    assert (done.code, "is octoview installed there?" in done.err) == (2, True)
