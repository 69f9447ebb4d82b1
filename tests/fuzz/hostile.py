"""Contents made to hurt: they claim, nest and multiply."""

import struct
import zlib

import cv2
import numpy as np

_LAUGHS = "\n".join(
    [f"a0: &a0 [{', '.join(['lol'] * 9)}]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)
_MERGES = "\n".join(
    ["a0: &a0 {k: 1}"]
    + [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)]
)

YAML = {
    "aliases that multiply": f"{_LAUGHS}\nname: *a11\ncameras: *a11\nrig: *a11\n".encode(),
    "merges that multiply": f"{_MERGES}\n".encode(),
    "an alias of itself": b"name: r\ncameras: &a [*a, *a]\nnames: *a\n",
    "a map in itself": b"&a {name: *a, cameras: *a, rig: *a, lens: *a}\n",
    "deep lists": b"cameras: " + b"[" * 3_000,
    "deep maps": b"{cameras: " * 1_500,
    "a huge number": b"name: 0x" + b"f" * 60_000 + b"\ncameras: 0x" + b"f" * 60_000 + b"\n",
    "a number in base 60": b"name: 1" + b":59" * 100_000 + b"\n",
    "an empty number": b'name: !!int ""\n',
    "an empty fraction": b'name: !!float ""\n',
    "a foreign truth": b'name: !!bool "x"\n',
    "a foreign time": b'name: !!timestamp "x"\n',
    "a day that is none": b"name: 2001-99-99\n",
    "an object": b"name: !!python/object/apply:os.system [true]\n",
    "a key that is a list": b"? [1, 2]\n: 3\n",
    "a key that is a map": b"? {a: 1}\n: 3\n",
    "not a number": b"name: .nan\ncameras: .inf\nrig: .nan\n",
    "many documents": b"---\na: 1\n" * 50,
    "nothing": b"",
    "no text": b"\xff\xfe\x00\x00\x80",
    "megabytes": b"a: [" + b"1, " * 3_000_000 + b"]\n",
}

JSON = {
    "deep lists": b"[" * 100_000,
    "deep maps": b'{"a":' * 100_000,
    "a huge number": b"[" + b"9" * 1_000_000 + b"]",
    "a number beyond floats": b'{"version": 1e999999, "size": -1e999999}',
    "not a number": b"[NaN, Infinity]",
    "half a letter": b'["\\ud800"]',
    "a list": b"[]",
    "null": b"null",
    "nothing": b"",
    "no text": b"\xff\xfe\x00\x00\x80",
}


def _png(width: int, height: int, rows: int, depth: int = 8) -> bytes:
    """Black, 1 byte a pixel; honest only if `rows` is `height`."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    packer = zlib.compressobj(9)
    row = bytes(1 + width * depth // 8)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def _claiming(data: bytes, found: bytes, claimed: bytes) -> bytes:
    assert found in data
    return data.replace(found, claimed, 1)


def _encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.zeros((48, 64, 3), np.uint8))[1].tobytes()


IMAGES = {
    "jpeg of 60000x60000": _claiming(
        _encoded(".jpg"), struct.pack(">HH", 48, 64), struct.pack(">HH", 60000, 60000)
    ),
    "jpeg of 30000x30000": _claiming(
        _encoded(".jpg"), struct.pack(">HH", 48, 64), struct.pack(">HH", 30000, 30000)
    ),
    "png of 60000x60000": _png(60000, 60000, 1),
    "png with a chunk of 4 GB": _claiming(_png(64, 48, 48), b"IEND", b"IDAT").replace(
        b"\0\0\0\0IDAT", b"\xff\xff\0\1IDAT"
    ),
    "png that is 30000x30000": _png(30000, 30000, 30000, depth=1),
    "bmp of 30000x30000": _claiming(
        _encoded(".bmp"), struct.pack("<ii", 64, 48), struct.pack("<ii", 30000, 30000)
    ),
    "pgm of 30000x30000": b"P5\n30000 30000\n255\n" + bytes(64),
    "pam of 30000x30000": b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 3\nMAXVAL 255\n"
    b"TUPLTYPE RGB\nENDHDR\n" + bytes(64),
    "radiance of 30000x30000": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n"
    + bytes(64),
    "tiff of 30000x30000": b"II*\x00\x08\x00\x00\x00\x04\x00"
    + struct.pack("<HHII", 256, 4, 1, 30000)
    + struct.pack("<HHII", 257, 4, 1, 30000)
    + struct.pack("<HHII", 258, 3, 1, 8)
    + struct.pack("<HHII", 259, 3, 1, 1)
    + bytes(4),
    "webp of 16383x16383": b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f"
    + struct.pack("<I", 16382 | 16382 << 14)
    + bytes(9),
    "gif of 30000x30000": b"GIF89a" + struct.pack("<HH", 30000, 30000) + bytes(40),
    "nothing": b"",
    "one byte": b"\xff",
}
