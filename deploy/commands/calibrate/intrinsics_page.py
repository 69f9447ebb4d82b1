"""The page of a lens calibration: whether to believe it, in pictures."""

import base64
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode
from calib.intrinsics.calibrate import Calibration
from calib.intrinsics.camera_file import parameters
from calib.intrinsics.fit import View
from calib.intrinsics.images import Boards
from calib.lens import Lens
from perception.report import page

_PARTS = 5
"""The coverage map has this many rows and columns."""
_LONG_ERROR = 0.03
"""Length of the 95th percentile of the residuals as drawn, as a share of the image's width."""
_WIDEST = np.radians(75)
"""Half the field of view to which a picture is straightened at most."""
_MARGIN = 0.9
"""Share of the straightened picture that the board may fill."""
_SHOWN_WIDTH = 640

Image = NDArray[np.uint8]
Array = NDArray[np.float64]


def write_lens_page(path: Path, folder: Path, boards: Boards, found: Calibration) -> None:
    """Write the page of `found`, which was calibrated from the pictures in `folder`.

    Raises PerceptionError when the file can't be written.
    """
    lens = found.lens
    sections = [
        page.Section("Summary", _summary(boards, found) + _warnings(found)),
        page.Section(
            "Where the board was seen",
            _coverage(lens, found.views),
            "Every corner that was used. The lens is measured where corners are and guessed in "
            "parts without any, which are red.",
        ),
        page.Section(
            "What is left over",
            _residuals(lens, found),
            "From where the lens puts each corner to where it was found. Lines should point "
            "anywhere: where neighbours agree the model does not follow the lens, and where one "
            "board's do, that board is bent or was moved.",
        ),
        page.Section(
            "Straightened",
            _straightened(folder, found),
            "Dashed lines join the ends of each row of corners. On the right, without the lens's "
            "distortion, all corners of a row must lie on its line.",
        ),
        page.Section("Boards", _boards(boards, found), "Worst first."),
        page.Section(
            "Parameters",
            _parameters(found),
            "The standard deviation follows from the scatter of the corners and from how well "
            "the boards show the parameter.",
        ),
        page.Section(
            "Models tried",
            page.table(
                ("model and coefficients", "rms of boards held out, px"),
                [(name, f"{error:.3f}") for name, error in found.heldout_by_model.items()],
            ),
            "The kind of the first within a tenth of the best is taken, and of that kind the first "
            "within 3 % of its best.",
        ),
    ]
    page.write(path, f"Lens of {folder.resolve().name}", sections, subtitle=lens_title(lens))


def lens_title(lens: Lens) -> str:
    """Model, coefficients and image size in a few words."""
    return f"{lens.model}, {len(lens.distortion)} coefficients, {lens.width}x{lens.height}"


def _summary(boards: Boards, found: Calibration) -> str:
    lens = found.lens
    corners = sum(len(view.pixels) for view in found.views)
    across = lens.unproject([[0, lens.cy], [lens.width - 1, lens.cy]])
    angle = np.degrees(np.arctan2(across[:, 0], across[:, 2]))
    view = angle[1] - angle[0]
    return page.tiles(
        [
            ("rms", f"{found.rms_px:.3f} px", f"over {corners:,} corners"),
            ("held out", f"{found.heldout_rms_px:.3f} px", "boards the lens has not seen"),
            ("boards", f"{len(found.views)} of {boards.total}", "used"),
            ("focal length", f"{lens.fx:.1f} px", f"± {found.deviations[0]:.2f}"),
            ("field of view", f"{view:.0f}°" if np.isfinite(view) else "-", "left to right"),
        ]
    )


def _warnings(found: Calibration) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in found.warnings)
    return f"<h3>Warnings</h3><ul>{lines}</ul>" if lines else ""


def _svg(lens: Lens, label: str, content: str) -> str:
    return (
        f'<svg viewBox="-2 -2 {lens.width + 4} {lens.height + 4}" role="img" '
        f'aria-label="{label}" style="max-height:30rem">{content}'
        f'<rect x="0" y="0" width="{lens.width}" height="{lens.height}" '
        'style="fill:none;stroke:var(--faint);stroke-width:2"/></svg>'
    )


def _coverage(lens: Lens, views: tuple[View, ...]) -> str:
    corners = np.concatenate([view.pixels for view in views])
    size = np.array([lens.width, lens.height])
    cells = (corners / size * _PARTS).astype(int).clip(0, _PARTS - 1)
    counts = np.zeros((_PARTS, _PARTS), int)
    np.add.at(counts, (cells[:, 1], cells[:, 0]), 1)
    width, height = size / _PARTS
    parts = []
    for (row, column), count in np.ndenumerate(counts):
        colour = f"var(--accent);fill-opacity:{0.06 + 0.3 * count / counts.max():.2f}"
        if not count:
            colour = "var(--wrong);fill-opacity:.25"
        parts.append(
            f'<rect x="{column * width:.1f}" y="{row * height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" style="fill:{colour}"><title>{count} corners</title></rect>'
        )
    radius = lens.width / 400
    for view in views:
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>' for x, y in view.pixels
        )
        parts.append(f'<g style="fill:var(--accent)"><title>{escape(view.name)}</title>{dots}</g>')
    return _svg(lens, "coverage", "".join(parts))


def _residuals(lens: Lens, found: Calibration) -> str:
    lengths = np.linalg.norm(np.concatenate(found.residuals), axis=1)
    longest = float(np.percentile(lengths, 95)) or 1.0
    scale = _LONG_ERROR * lens.width / longest
    stroke = lens.width / 900
    parts = []
    for view, residual in zip(found.views, found.residuals, strict=True):
        lines = "".join(
            f"M{x:.1f} {y:.1f}l{scale * dx:.1f} {scale * dy:.1f}"
            for (x, y), (dx, dy) in zip(view.pixels - residual, residual, strict=True)
        )
        far = np.sqrt((residual**2).sum(axis=1).mean()) > 1.5 * found.rms_px
        parts.append(
            f'<path d="{lines}" style="fill:none;stroke:var(--{"wrong" if far else "second"});'
            f'stroke-width:{stroke:.2f}"><title>{escape(view.name)}</title></path>'
        )
    bar = scale * found.rms_px
    x, y = 0.02 * lens.width, 0.97 * lens.height
    parts.append(
        f'<path d="M{x:.1f} {y:.1f}h{bar:.1f}" style="stroke:var(--text);'
        f'stroke-width:{3 * stroke:.2f}"/><text x="{x:.1f}" y="{y - 0.015 * lens.height:.1f}" '
        f'style="fill:var(--text);font-size:{0.02 * lens.width:.1f}px">{found.rms_px:.2f} px, '
        "the rms</text>"
    )
    note = (
        f'<p class="note">Drawn {scale:.0f} times as long as they are; boards 1.5 times worse than '
        "the rms are red.</p>"
    )
    return _svg(lens, "residuals", "".join(parts)) + note


def _straightened(folder: Path, found: Calibration) -> str:
    """The picture whose board covers most, before and after."""
    lens = found.lens
    view = max(found.views, key=lambda v: float(np.ptp(v.pixels, axis=0).prod()))
    image: Any = decode((folder / view.name).read_bytes(), cv2.IMREAD_COLOR)
    flat = flat_lens(lens, view.pixels)
    x, y = np.meshgrid(np.arange(flat.width), np.arange(flat.height))
    rays = flat.unproject(np.stack([x, y], axis=-1))
    # What the lens does not see is black, as is all that lies outside the image.
    source = np.nan_to_num(lens.project(rays)[0], nan=-9.0).astype(np.float32)
    straight: Any = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    corners = flat.project(lens.unproject(view.pixels))[0]
    panes = (
        _pane("as taken", lens, image, view.points, view.pixels),
        _pane("straightened", flat, straight, view.points, corners),
    )
    return (
        f"<figure><figcaption>{escape(view.name)}</figcaption>"
        f'<div class="columns">{"".join(panes)}</div></figure>'
    )


def flat_lens(lens: Lens, pixels: Array) -> Lens:
    """A lens of the same size without distortion, wide enough for what `pixels` (N, 2) show,
    but no wider than a plane can bear."""
    rays = lens.unproject(pixels)
    ahead = rays[rays[:, 2] > 0]
    slope = np.abs(ahead[:, :2] / ahead[:, 2:]).max(axis=0, initial=1e-3)
    fitting = np.min(_MARGIN * np.array([lens.width, lens.height]) / 2 / slope)
    focal = max(min(lens.fx, float(fitting)), lens.width / 2 / float(np.tan(_WIDEST)))
    centre = (lens.width - 1) / 2, (lens.height - 1) / 2
    return Lens("pinhole", lens.width, lens.height, focal, focal, *centre)


def _pane(label: str, lens: Lens, image: Image, points: Array, pixels: Array) -> str:
    width = min(_SHOWN_WIDTH, lens.width)
    small = cv2.resize(
        image, (width, round(lens.height * width / lens.width)), interpolation=cv2.INTER_AREA
    )
    _, encoded = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, 85])
    data = base64.b64encode(encoded.tobytes()).decode()
    stroke = lens.width / 500
    parts = [
        f'<image href="data:image/webp;base64,{data}" width="{lens.width}" height="{lens.height}"/>'
    ]
    for row in np.unique(points[:, 1]):
        members = pixels[points[:, 1] == row]
        if len(members) < 3 or not np.isfinite(members).all():
            continue
        (x0, y0), (x1, y1) = members[0], members[-1]
        parts.append(
            f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" style="stroke:#ffd23f;'
            f'stroke-width:{stroke:.1f};stroke-dasharray:{4 * stroke:.1f} {3 * stroke:.1f}"/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.8 * stroke:.1f}" '
            f'style="fill:none;stroke:#ff4d61;stroke-width:{stroke:.1f}"/>'
            for x, y in members
        ]
    return f"<div><h3>{label}</h3>{_svg(lens, label, ''.join(parts))}</div>"


def _boards(boards: Boards, found: Calibration) -> str:
    corners = {view.name: len(view.pixels) for view in boards.views}
    used = {
        view.name: float(np.sqrt((residual**2).sum(axis=1).mean()))
        for view, residual in zip(found.views, found.residuals, strict=True)
    }
    rows = [
        (name, corners[name], f"{error:.3f}", state)
        for errors, state in ((found.outliers, "left out"), (used, "used"))
        for name, error in sorted(errors.items(), key=lambda item: -item[1])
    ]
    rows += [(name, "-", "-", reason) for name, reason in boards.skipped.items()]  # type: ignore[misc]
    return page.table(("image", "corners", "rms, px", ""), rows)


def _parameters(found: Calibration) -> str:
    rows = [
        (name, f"{value:.{digits}f}", f"{deviation:.2g}")
        for name, value, deviation, digits in parameters(found)
    ]
    return page.table(("parameter", "value", "standard deviation"), rows)
