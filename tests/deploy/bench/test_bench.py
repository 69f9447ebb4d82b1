"""Ratios from given samples, peers that really run, comparison of crafted files."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deploy.bench.alternate import alternate, quartiles, ratio
from deploy.bench.compare import changes, differences, read_result
from deploy.bench.peers import Peer
from deploy.errors import DeployError, EngineError
from tests.deploy.command_line import command_line


def peer_model(path: Path, shape: list[int | str]) -> Path:
    weights = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["out"])],
        "peer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [weights],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def result(path: Path, cpu: str = "one", p50: float = 10.0) -> Path:
    content = {
        "rig": "hw2",
        "model": {
            **{"file": f"{path.stem}.onnx", "precision": "fp32", "spec_hash": "a" * 64},
            **{"engine": "onnxruntime", "threads": 2},
        },
        "machine": {"cpu": cpu, "physical_cores": 2, "logical_cpus": 2},
        "quartiles_ms": {"tick": {"p25": p50 - 1, "p50": p50, "p75": p50 + 1}},
    }
    path.write_text(json.dumps(content))
    return path


def test_calls_take_turns_and_the_first_round_is_not_counted() -> None:
    order: list[str] = []
    seconds = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_ratios_are_of_rounds() -> None:
    # The machine slows down tenfold; round by round the ratio stays 2.
    assert ratio([2, 20, 200], [1, 10, 100]) == {"p25": 2, "p50": 2, "p75": 2}
    assert quartiles([1, 2, 3, 4, 5]) == {"p25": 2, "p50": 3, "p75": 4}


@pytest.mark.parametrize(
    ("shape", "size"), [([1, 3, 8, 12], (12, 8)), (["n", 3, "h", "w"], (32, 16))]
)
def test_a_peer_runs_on_the_image(tmp_path: Path, shape: list, size: tuple[int, int]) -> None:
    image = np.full((20, 30, 3), 51, np.uint8)
    peer = Peer(peer_model(tmp_path / "p.onnx", shape), 1, image, (32, 16))
    assert (peer.width, peer.height) == size and peer.megapixels == size[0] * size[1] / 1e6
    (out,) = peer._session.run(None, peer._feed)
    np.testing.assert_allclose(out, np.full((1, 2, size[1], size[0]), 0.6), rtol=1e-6)


def test_bad_peers_are_named(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    for path, words in (
        (text, "text.onnx: is no model"),
        (tmp_path / "absent.onnx", "no such model"),
        (peer_model(tmp_path / "two.onnx", [2, 3, 8, 8]), "one image"),
    ):
        with pytest.raises(EngineError, match=words):
            Peer(path, 1, image, (8, 8))


def test_comparison(tmp_path: Path) -> None:
    a = read_result(result(tmp_path / "a.json"))
    near = read_result(result(tmp_path / "near.json", p50=11))
    far = read_result(result(tmp_path / "far.json", p50=20))
    assert differences(a, far) == []
    assert changes(a, near)[0].within_noise and not changes(a, far)[0].within_noise
    assert changes(a, far)[0].ratio == 2
    other = read_result(result(tmp_path / "other.json", cpu="two"))
    assert differences(a, other) == ["processor: one and two"]


def test_compare_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    octoview = command_line(monkeypatch, capsys, "bench", "compare")
    a, far = result(tmp_path / "a.json"), result(tmp_path / "far.json", p50=20)
    done = octoview(a, far)
    assert done.code == 0 and "2.000" in done.out
    assert "B: far.onnx, fp32, onnxruntime, 2 threads" in done.out
    done = octoview(a, result(tmp_path / "other.json", cpu="two"))
    assert done.code == 1 and "not comparable: processor" in done.out
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    done = octoview(a, wrong)
    assert done.code == 2 and "wrong.json: is no result" in done.err
    with pytest.raises(DeployError, match="can't be read"):
        read_result(tmp_path / "absent.json")
