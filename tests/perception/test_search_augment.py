"""The search trains, scores and remembers; killed and called again it ends the same."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from perception.data.policy import Policy, load_policy
from perception.data.training_data import read_training_data
from perception.errors import DatasetError, PerceptionError
from perception.recipe import Recipe, Source
from perception.search_augment import Outcome, candidate, search, total_steps
from perception.trials import Result
from tests.perception.data.folders import write_camvid


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camvid")
    write_camvid(root, 8, "train")
    for image in write_camvid(root, 1, "val").iterdir():  # darker than that of train
        cv2.imwrite(str(image), cv2.imread(str(image)) // 2)
    return root


def _recipe(camvid: Path) -> Recipe:
    source = Source(dataset=f"camvid:{camvid}/train")
    return Recipe(preset="nano", sources=(source,), steps=2, batch=2, crop_height=64, crop_width=64)


def _search(
    camvid: Path,
    folder: Path,
    report: Callable[[int, str], None] = lambda done, note: None,
    val: str = "val",
    **recipe: int,
) -> Outcome:
    """Two candidates and one seed; `recipe` changes its fields."""
    changed = _recipe(camvid).model_copy(update=recipe)
    data = read_training_data([f"camvid:{camvid}/train"])
    judge = read_training_data([f"camvid:{camvid}/{val}"])
    return search(changed, data, judge, 2, 1, folder, report)


def _lines(folder: Path) -> list[Result]:
    text = (folder / "results.jsonl").read_text()
    return [Result.model_validate_json(line) for line in text.splitlines()]


def _without_seconds(folder: Path) -> list[Result]:
    return [result.model_copy(update={"seconds": 0.0}) for result in _lines(folder)]


@pytest.fixture(scope="module")
def whole(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    seen: list[tuple[int, str]] = []
    outcome = _search(camvid, folder, report=lambda *step: seen.append(step))
    done = [step for step, _ in seen]
    assert done == sorted(done) and done[-1] == total_steps(_recipe(camvid), 2, 1)
    assert outcome.winner in ("candidate-01", "candidate-02")
    return folder


def test_every_policy_is_tried_and_the_best_in_the_final(whole: Path) -> None:
    names = ["none", "hand", "candidate-01", "candidate-02"]
    results = _lines(whole)
    first, final = results[:4], results[4:]
    assert [result.trial.name for result in first] == names
    assert {(result.trial.seed, result.trial.steps) for result in first} == {(0, 2)}
    assert sorted(result.trial.name for result in final) == sorted(names)
    assert {(result.trial.seed, result.trial.steps) for result in final} == {(1, 6)}
    assert all(0 <= result.score <= 1 for result in results)
    assert not list((whole / "runs").iterdir())


def test_the_winner_is_the_best_of_the_final_and_its_file_loads(whole: Path) -> None:
    final = {result.trial.name: result for result in _lines(whole)[4:]}
    best = max(final.keys() - {"none", "hand"}, key=lambda name: final[name].score)
    assert load_policy(whole / "searched.yaml") == final[best].trial.policy
    assert best in (whole / "searched.yaml").read_text().splitlines()[0]
    table = (whole / "comparison.md").read_text()
    assert f"| {best} | 1 | {final[best].mean_iou:.3f} |" in table
    assert "| none | 1 |" in table and "| hand | 1 |" in table


def test_killed_after_the_first_candidate_it_continues_to_the_same_end(
    camvid: Path, whole: Path, tmp_path: Path
) -> None:
    def killed(done: int, note: str) -> None:
        if note == "candidate-02":  # in the middle of its training
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _search(camvid, tmp_path, report=killed)
    before = (tmp_path / "results.jsonl").read_text()
    assert [result.trial.name for result in _lines(tmp_path)] == ["none", "hand", "candidate-01"]

    notes: list[str] = []
    _search(camvid, tmp_path, report=lambda done, note: notes.append(note))
    assert (tmp_path / "results.jsonl").read_text().startswith(before)  # seconds too: not rerun
    assert notes.index("candidate-02") == 3  # none, hand and candidate-01 only said their scores
    assert _without_seconds(tmp_path) == _without_seconds(whole)
    for name in ("searched.yaml", "comparison.md"):
        assert (tmp_path / name).read_text() == (whole / name).read_text()


def test_a_folder_of_another_search_is_refused(camvid: Path, whole: Path) -> None:
    before = (whole / "results.jsonl").read_text()
    with pytest.raises(PerceptionError, match=r"search\.json: belongs to a search with other"):
        _search(camvid, whole, batch=3)
    assert (whole / "results.jsonl").read_text() == before


def test_a_damaged_line_is_named(camvid: Path, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text('{"trial": 3}\n')
    with pytest.raises(PerceptionError, match=r"results\.jsonl: line 1 is no result"):
        _search(camvid, tmp_path)


def test_scoring_on_training_images_is_refused(camvid: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"train: 8 of its 8 images are trained on too"):
        _search(camvid, tmp_path, val="train")
    assert not (tmp_path / "results.jsonl").exists()


def test_candidates_are_spread_and_never_stronger_than_strong() -> None:
    strong, policies = load_policy("strong"), [candidate(number) for number in range(1, 17)]
    assert len({json.dumps(policy.model_dump()) for policy in policies}) == 16

    def part(policy: Policy) -> tuple[float, float, float]:
        assert policy.tone and policy.haze and strong.tone and strong.haze
        return (
            policy.scale[1] / strong.scale[1],
            policy.tone.exposure / strong.tone.exposure,
            policy.haze.probability / strong.haze.probability,
        )

    for values in zip(*(part(policy) for policy in policies), strict=True):
        assert max(values) <= 1
        assert max(values) > 0.85 and max(values) - min(values) > 0.45
    assert all(policy.scale[0] >= strong.scale[0] and policy.mirror == 0.5 for policy in policies)
