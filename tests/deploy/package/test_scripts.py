"""The package's own scripts, run by the shell that dpkg runs them with."""

import subprocess
from pathlib import Path

from deploy.package import tree
from deploy.package.build import CARRIERS
from deploy.package.native import ROOT


def removed(tmp_path: Path) -> int:
    """Exit code of `prerm remove`, with its folders below `tmp_path`."""
    root = tmp_path / "root"
    tree.lay_out_system(root, "0.2.0", ROOT / "calib/rigs/hw2.yaml", CARRIERS / "stand-in.yaml")
    text = (root / "DEBIAN/prerm").read_text()
    for folder in ("/opt/octoview", "/usr/lib/octoview"):
        text = text.replace(folder, f"{tmp_path}{folder}")
    return subprocess.run(["sh", "-c", text, "prerm", "remove"], check=False).returncode


def test_byte_code_goes_with_the_package_and_what_dpkg_knows_stays(tmp_path: Path) -> None:
    folder = tmp_path / "opt/octoview/0.2.0/lib"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__/a.pyc").write_bytes(b"code")
    (folder / "a.py").write_text("")
    assert removed(tmp_path) == 0
    assert [path.name for path in folder.iterdir()] == ["a.py"]


def test_an_installation_that_was_cut_can_be_removed(tmp_path: Path) -> None:
    """dpkg knows the package, and its folders were never made or are gone."""
    assert removed(tmp_path) == 0
