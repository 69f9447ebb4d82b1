"""Boxes of datasets made into Objects, and riders joined with what they ride."""

import numpy as np
import pytest

from perception.data.boxes import IGNORED, Box, objects_from
from perception.data.object_names import kinds_of, mark_riders
from perception.data.riders import MACHINE, RIDER, join_riders
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES

IMAGE = np.zeros((60, 100, 3), np.uint8)


def test_the_whole_image_and_one_pixel() -> None:
    objects = objects_from(
        [Box("vehicle", 0, 0, 100, 60), Box("cyclist", 7, 8, 8, 9)], IMAGE, "a.jpg"
    )
    np.testing.assert_array_equal(objects.boxes, [[-0.5, -0.5, 99.5, 59.5], [6.5, 7.5, 7.5, 8.5]])
    assert [OBJECT_CLASSES[kind] for kind in objects.classes] == ["vehicle", "cyclist"]
    assert not objects.ignore.any() and np.isnan(objects.ground_points).all()


def test_boxes_are_clipped() -> None:
    objects = objects_from([Box("vehicle", -5, 50, 20.5, 70)], IMAGE, "a.jpg")
    np.testing.assert_array_equal(objects.boxes, [[-0.5, 49.5, 20.0, 59.5]])


def test_ignored_is_ignored_for_every_class() -> None:
    objects = objects_from([Box(IGNORED, 1, 2, 3, 4)], IMAGE, "a.jpg")
    assert objects.classes.tolist() == [0, 1, 2] and objects.ignore.all()
    assert len(np.unique(objects.boxes, axis=0)) == 1


def test_no_boxes_have_the_right_shapes() -> None:
    objects = objects_from([], IMAGE, "a.jpg")
    assert objects.boxes.shape == (0, 4) and objects.ground_points.shape == (0, 2)


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((0, 0, float("nan"), 9), "is not finite"),
        ((0, 0, float("inf"), 9), "is not finite"),
        ((9, 0, 9, 9), "is empty"),
        ((0, 9, 9, 8), "is empty"),
        ((100, 0, 120, 9), "lies outside its image of 100x60"),
        ((0, -20, 9, 0), "lies outside its image"),
    ],
)
def test_bad_boxes(corners: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(DatasetError, match=rf"^a\.jpg: box .* {message}"):
        objects_from([Box("vehicle", *corners)], IMAGE, "a.jpg")


def test_a_rider_takes_the_machine_that_it_overlaps_most() -> None:
    rider = Box(RIDER, 20, 10, 30, 40)
    under, beside = Box(MACHINE, 15, 25, 35, 45), Box(MACHINE, 28, 25, 48, 45)
    car = Box("vehicle", 0, 0, 5, 5)
    assert join_riders([beside, rider, under, car]) == [
        car,
        Box("cyclist", 15, 10, 35, 45),
        beside._replace(kind=IGNORED),
    ]


def test_two_riders_do_not_share_a_machine_and_none_reaches_far() -> None:
    machine = Box(MACHINE, 15, 25, 35, 45)
    first, second = Box(RIDER, 20, 10, 30, 40), Box(RIDER, 22, 10, 32, 40)
    far = Box(MACHINE, 80, 25, 99, 45)
    assert join_riders([first, second, machine, far]) == [
        Box("cyclist", 15, 10, 35, 45),
        second._replace(kind="cyclist"),
        far._replace(kind=IGNORED),
    ]


def test_who_touches_a_machine_may_ride_it_where_riders_are_not_marked() -> None:
    machine = Box(MACHINE, 15, 25, 35, 45)
    at, away = Box("pedestrian", 20, 10, 30, 40), Box("pedestrian", 50, 10, 60, 40)
    ignored = [box._replace(kind=IGNORED) for box in (at, machine)]
    assert join_riders([at, away, machine], riders_are_marked=False) == [
        ignored[0],
        away,
        ignored[1],
    ]
    assert join_riders([at, away, machine])[:2] == [at, away]


def test_names_in_any_spelling() -> None:
    names = ["Car", "PERSON", "traffic_light", "motor-cyclist", "Rider", " bike ", "forklift"]
    kinds = kinds_of(names, "data.yaml")
    assert kinds == ["vehicle", "pedestrian", None, IGNORED, RIDER, MACHINE, IGNORED]
    assert mark_riders(kinds) and mark_riders(["cyclist"]) and not mark_riders(["pedestrian"])


def test_names_without_any_of_ours() -> None:
    with pytest.raises(DatasetError, match=r"^data\.yaml: none of its classes \(bike, cat\)"):
        kinds_of(["bike", "cat"], "data.yaml")
