"""Recordings with bytes changed anywhere: a log or one line, never anything else."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.errors import CalibError
from deploy.errors import DeployError
from deploy.importers.kitti import import_kitti
from deploy.importers.nuscenes import import_nuscenes
from deploy.importers.rosbag import import_rosbag
from tests.deploy.importers import test_kitti, test_nuscenes

Files = dict[str, bytes]


def contents(folder: Path) -> Files:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def damaged(data: st.DataObject, files: Files) -> Files:
    """One file with a piece of it replaced or cut off."""
    name = data.draw(st.sampled_from(sorted(files)), "file")
    content = files[name]
    at = data.draw(st.integers(0, len(content)), "place")
    length = data.draw(st.sampled_from((0, 1, 3, 40, 10**6)), "length")
    piece = data.draw(
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from(
                (b"", b"nan", b"1e999", b"-1", b"null", b"{}", b"[]", b"\xff\xff\xff\x7f")
            ),
        ),
        "piece",
    )
    return files | {name: content[:at] + piece + content[at + length :]}


def imports(files: Files, act: Callable[[Path, Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "set", Path(folder) / "o.mcap"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        try:
            act(root, out)
        except (DeployError, CalibError) as error:
            assert "\n" not in str(error)
            assert not list(Path(folder).glob("o.mcap*"))
        else:
            assert out.exists()


examples = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture(scope="module")
def nuscenes(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("nuscenes") / "set"
    return contents(test_nuscenes.write(test_nuscenes.tiny(), folder))


@pytest.fixture(scope="module")
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("kitti")
    test_kitti.write_drive(folder)
    return contents(folder)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Files:
    pytest.importorskip("rosbags")
    from tests.deploy.importers import test_rosbag

    folder = tmp_path_factory.mktemp("bag")
    test_rosbag.write_drive(folder / "a.bag", test_rosbag.Messages(1))
    return contents(folder)


@pytest.fixture(scope="module")
def bag2(tmp_path_factory: pytest.TempPathFactory) -> Files:
    pytest.importorskip("rosbags")
    from tests.deploy.importers import test_rosbag

    folder = tmp_path_factory.mktemp("bag2")
    test_rosbag.write_drive(folder / "a", test_rosbag.Messages(2))
    return contents(folder)


@examples
@given(data=st.data())
def test_nuscenes_tables(nuscenes: Files, data: st.DataObject) -> None:
    imports(
        damaged(data, nuscenes),
        lambda root, out: import_nuscenes(root, out, lambda *_: None, "scene-0001"),
    )


@examples
@given(data=st.data())
def test_kitti_files(kitti: Files, data: st.DataObject) -> None:
    drive = "2011_09_26_drive_0001_sync"
    imports(
        damaged(data, kitti),
        lambda root, out: import_kitti(root / drive, out, lambda *_: None),
    )


@examples
@given(data=st.data())
def test_bags_of_ros_1(bag: Files, data: st.DataObject) -> None:
    imports(
        damaged(data, bag), lambda root, out: import_rosbag(root / "a.bag", out, lambda *_: None)
    )


@examples
@given(data=st.data())
def test_bags_of_ros_2(bag2: Files, data: st.DataObject) -> None:
    imports(damaged(data, bag2), lambda root, out: import_rosbag(root / "a", out, lambda *_: None))
