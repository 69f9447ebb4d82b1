"""Sizes by the header alone, equal to what a decoder finds; no bytes make it fail."""

import struct
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.encoded_image import decode, stated_size
from calib.lens import Lens
from calib.rig import Camera
from deploy.log.reader import EncodedImage
from deploy.loop.frames import decode_image
from tests.fuzz.hostile import IMAGES

LENS = Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5)
CAMERA = Camera("a", LENS, np.eye(4), 36.0, "small")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm"])
@pytest.mark.parametrize("size", [(64, 48), (1, 1), (1280, 960)])
@pytest.mark.parametrize("progressive", [0, 1])
def test_it_is_the_decoders_size(suffix: str, size: tuple[int, int], progressive: int):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive] if suffix == ".jpg" else []
    assert stated_size(cv2.imencode(suffix, picture, options)[1].tobytes()) == size


STARTS = (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"P6 ", b"RIFF....WEBP")


@given(st.binary(max_size=200), st.sampled_from(STARTS))
def test_no_bytes_make_it_fail(data: bytes, start: bytes):
    stated_size(start + data)


def test_a_small_file_that_claims_gigabytes_is_not_decoded():
    honest = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    claim = honest.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 30000, 30000), 1)
    assert claim != honest
    tracemalloc.start()
    pixels, note = decode_image(EncodedImage("a", 0, claim, "jpeg"), CAMERA)
    assert pixels is None and "30000x30000" in note
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("name", IMAGES)
def test_hostile_images_are_not_decoded(name: str):
    assert decode(IMAGES[name], cv2.IMREAD_COLOR) is None


@pytest.mark.parametrize("hidden", [b"\xff\x01", b"\xff\xd3", b"\xff\xff", b"\0\0"])
def test_a_size_behind_what_decoders_skip_is_seen(hidden: bytes):
    """A marker without a length must not carry the look past the true frame to a small one."""
    picture = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    at = picture.index(b"\xff\xc0")
    assert stated_size(picture[:at] + hidden + picture[at:]) == (64, 48)


def test_a_sound_image_of_each_kind_is_decoded():
    picture = np.full((48, 64, 3), 90, np.uint8)
    for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm"):
        found = decode(cv2.imencode(suffix, picture)[1].tobytes(), cv2.IMREAD_COLOR)
        assert found is not None
        np.testing.assert_allclose(found, picture, atol=2)
