"""Detection targets: what is encoded can be decoded, and who wins where objects meet."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perception.data.sample import Objects
from perception.data.targets import Targets, encode

HEIGHT, WIDTH, STRIDE, CLASSES = 96, 128, 4, 3


def _objects(
    boxes: list[tuple[float, float, float, float]],
    classes: list[int] | None = None,
    ground_points: list[tuple[float, float]] | None = None,
    ignore: list[bool] | None = None,
) -> Objects:
    n = len(boxes)
    return Objects(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes or [0] * n, np.int64),
        ground_points=np.array(ground_points or [(np.nan, np.nan)] * n, np.float32).reshape(-1, 2),
        ignore=np.array(ignore or [False] * n, np.bool_),
    )


def _encode(objects: Objects) -> Targets:
    return encode(objects, height=HEIGHT, width=WIDTH, n_classes=CLASSES, stride=STRIDE)


def _decode(targets: Targets) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """(class, box, ground point) of every peak, as the network's head would be read."""
    found = []
    for label, i, j in np.argwhere(targets.heatmap == 1):
        x, y = 4 * j + 1.5, 4 * i + 1.5
        left, top, right, bottom, gx, gy = targets.regression[:, i, j]
        box = np.array([x - left, y - top, x + right, y + bottom])
        found.append((int(label), box, np.array([x + gx, y + gy])))
    return found


coordinates = st.tuples(st.floats(-0.5, WIDTH - 8, width=32), st.floats(-0.5, HEIGHT - 8, width=32))
sides = st.tuples(st.floats(4, 90, width=32), st.floats(4, 90, width=32))
one_object = st.tuples(coordinates, sides, st.integers(0, CLASSES - 1), coordinates)


@settings(max_examples=200, deadline=None)
@given(drawn=st.lists(one_object, max_size=6))
def test_decoding_gives_the_objects_back(drawn: list) -> None:
    boxes = [
        (x, y, min(x + w, WIDTH - 0.5), min(y + h, HEIGHT - 0.5)) for (x, y), (w, h), _, _ in drawn
    ]
    cells = {(int((a + c + 1) / 8), int((b + d + 1) / 8)) for a, b, c, d in boxes}
    assume(len(cells) == len(boxes))
    grounds = [ground for *_, ground in drawn]
    targets = _encode(_objects(boxes, [label for _, _, label, _ in drawn], grounds))

    found = _decode(targets)
    assert len(found) == len(boxes)
    for (_, _, label, ground), box in zip(drawn, boxes, strict=True):
        assert any(
            label == got_label
            and np.allclose(box, got_box, atol=1e-3)
            and np.allclose(ground, got_ground, atol=1e-3)
            for got_label, got_box, got_ground in found
        )
    assert (targets.heat_weight == 1).all()
    assert all(np.isfinite(grid).all() for grid in vars(targets).values())
    assert all(grid.dtype == np.float32 for grid in vars(targets).values())


def test_the_peak_lies_in_the_cell_of_the_centre() -> None:
    """A box about pixel (17.5, 9.5), the centre of cell (column 4, row 2)."""
    targets = _encode(_objects([(13.5, 5.5, 21.5, 13.5)]))
    assert np.argwhere(targets.heatmap == 1).tolist() == [[0, 2, 4]]
    np.testing.assert_array_equal(targets.regression[:4, 2, 4], [4, 4, 4, 4])
    moved = _encode(_objects([(17.5, 5.5, 25.5, 13.5)]))
    assert np.argwhere(moved.heatmap == 1).tolist() == [[0, 2, 5]]


def test_peaks_have_the_proportions_of_their_boxes() -> None:
    """A box of 100 x 60 pixels is one of 25 x 15 cells: sigma 2.25 and 1.35."""
    targets = _encode(_objects([(9.5, 9.5, 109.5, 69.5)]))
    i, j = np.argwhere(targets.heatmap[0] == 1)[0]
    assert targets.heatmap[0, i, j + 2] == pytest.approx(np.exp(-0.5 * (2 / 2.25) ** 2), rel=1e-5)
    assert targets.heatmap[0, i + 2, j] == pytest.approx(np.exp(-0.5 * (2 / 1.35) ** 2), rel=1e-5)


@pytest.mark.parametrize("side", [8, 80])
def test_all_cells_under_a_peak_learn_the_box(side: int) -> None:
    box = (9.5, 9.5, 9.5 + side, 9.5 + side)
    targets = _encode(_objects([box], ground_points=[(60, 89)]))
    i, j = np.argwhere(targets.heatmap[0] == 1)[0]
    assert ((targets.box_weight > 0) == (targets.heatmap[0] > 0)).all()
    assert (targets.box_weight[i - 1 : i + 2, j - 1 : j + 2] > 0).all()
    assert targets.box_weight.sum() == pytest.approx(1)  # a large object counts as a small one
    assert targets.box_weight.argmax() == i * (WIDTH // STRIDE) + j
    np.testing.assert_array_equal(targets.ground_weight, targets.box_weight)
    np.testing.assert_array_equal(targets.regression[0, i, j - 1], targets.regression[0, i, j] - 4)
    np.testing.assert_array_equal(targets.regression[5, i + 1, j], targets.regression[5, i, j] - 4)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_smaller_box_wins_the_cell(order: list[int]) -> None:
    boxes = [(9.5, 9.5, 89.5, 89.5), (39.5, 39.5, 59.5, 59.5)]
    targets = _encode(_objects([boxes[k] for k in order], order))
    found = _decode(targets)
    assert [label for label, _, _ in found] == [0, 1]  # both peaks stand
    for _, box, _ in found:
        np.testing.assert_allclose(box, boxes[1])


def test_centre_beats_neighbour() -> None:
    """The large box's centre lies beside the small one's, which has a neighbourhood too."""
    boxes = [(1.5, 1.5, 93.5, 93.5), (3.5, 3.5, 87.5, 87.5)]
    found = _decode(_encode(_objects(boxes)))
    assert len(found) == 2
    for box in boxes:
        assert any(np.allclose(box, got) for _, got, _ in found)


def test_ignored_objects_silence_the_heatmap() -> None:
    crowd, person = (19.5, 19.5, 79.5, 59.5), (39.5, 29.5, 49.5, 49.5)
    targets = _encode(_objects([crowd, person], [0, 1], ignore=[True, False]))
    assert [label for label, _, _ in _decode(targets)] == [1]
    silent = np.argwhere(targets.heat_weight == 0)
    # Columns 20..79 and rows 20..59 are cells 5..19 and 5..14, without the person's peak.
    assert silent.min(axis=0).tolist() == [5, 5] and silent.max(axis=0).tolist() == [14, 19]
    assert len(silent) == 15 * 10 - np.count_nonzero(targets.heatmap[1])
    assert (targets.heat_weight[targets.heatmap[1] == 1] == 1).all()


def test_an_ignored_speck_silences_its_cell() -> None:
    targets = _encode(_objects([(20.2, 20.2, 21.4, 21.4)], ignore=[True]))
    assert np.argwhere(targets.heat_weight == 0).tolist() == [[5, 5]]


def test_unknown_ground_points_train_nothing() -> None:
    boxes = [(9.5, 9.5, 29.5, 29.5), (59.5, 9.5, 79.5, 29.5)]
    targets = _encode(_objects(boxes, ground_points=[(np.nan, np.nan), (70, 200)]))
    assert targets.box_weight.sum() == pytest.approx(2)
    assert targets.ground_weight.sum() == pytest.approx(1)
    assert targets.ground_weight[5, 17] > 0 == targets.ground_weight[:, :12].max()
    assert targets.regression[5, 5, 17] == 200 - 21.5


def test_no_objects() -> None:
    targets = _encode(_objects([]))
    assert targets.heatmap.shape == (CLASSES, 24, 32)
    assert not targets.heatmap.any() and not targets.box_weight.any() and targets.heat_weight.all()
