"""Sections of a report that tell how a model scored."""

from collections.abc import Sequence
from html import escape

from perception.cost import Cost
from perception.report import plot
from perception.report.gallery import Gallery, Picture
from perception.report.page import Section, fraction, table, tiles
from perception.scores import Scores
from perception.spec import ModelSpec


def scores_sections(
    scores: Scores, cost: Cost, spec: ModelSpec, gallery: Gallery | None = None
) -> list[Section]:
    """What was measured, in tables and plots, and with a gallery in pictures."""
    sections = [_headline(scores, cost, spec)]
    if scores.iou:
        sections += [_labels(scores), _cameras_and_light(scores)]
    if scores.boxes != "none":
        sections.append(_objects(scores))
    sections.append(_calibration(scores))
    if gallery:
        sections += _pictures(gallery)
    return sections


def _headline(scores: Scores, cost: Cost, spec: ModelSpec) -> Section:
    gmac = cost.gmac_per_image(scores.images_by_bucket)
    sizes = ", ".join(
        f"{spec.bucket(bucket).width}x{spec.bucket(bucket).height}"
        for bucket in scores.images_by_bucket
    )
    values = []
    if scores.iou:
        values.append(("mean IoU", fraction(scores.mean_iou), f"{len(scores.iou)} labels"))
        values.append(("drivable IoU", fraction(scores.drivable_iou), scores.dataset))
    if scores.boxes != "none":
        values.append(("mAP50", fraction(scores.map50), f"{scores.boxes} boxes"))
        values.append(("mAP50:95", fraction(scores.map50_95), f"{scores.boxes} boxes"))
    values += [
        ("images", f"{scores.images:,}", f"at {sizes}"),
        ("GMAC an image", f"{gmac:.2f}", f"{2 * gmac:.2f} GFLOP"),
        ("parameters", f"{cost.parameters / 1e6:.2f} M", spec.preset),
    ]
    checked = (
        "None of these images was trained on: the model's list of training images was checked."
        if scores.trained_on_checked
        else "Training images unknown: the model does not list them, so these scores may count "
        "images that it was trained on."
    )
    return Section("At a glance", tiles(values), checked)


def _labels(scores: Scores) -> Section:
    rows = sorted(scores.iou.items(), key=lambda item: -item[1] if item[1] == item[1] else 1)
    html = f'<div class="columns">{table(("label", "IoU"), rows)}{_confusion(scores)}</div>'
    note = (
        "Intersection over union of all images' pixels, in the dataset's own labels; and of each "
        "true label (row) the share of its pixels predicted as (column), per cent."
    )
    return Section("Labels", html, note)


def _confusion(scores: Scores) -> str:
    names = list(scores.iou)
    head = "".join(f'<th><span class="down">{escape(name)}</span></th>' for name in names)
    body = ""
    for name, row in zip(names, scores.confusion, strict=True):
        total = sum(row)
        cells = ""
        for pixels in row:
            share = pixels / total if total else 0.0
            style = ' class="zero"' if share < 0.005 else ""
            text = f"{100 * share:.0f}" if total else "-"
            cells += f'<td{style} style="--v:{0.85 * share:.3f}">{text}</td>'
        body += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    return f'<div class="scroll"><table class="matrix"><tr><th></th>{head}</tr>{body}</table></div>'


def _cameras_and_light(scores: Scores) -> Section:
    slices = scores.slices
    headings = ("", "images", "mean IoU", "drivable IoU")

    def rows(parts: dict) -> list[tuple[str, int, float, float]]:
        return [(name, p.images, p.mean_iou, p.drivable_iou) for name, p in parts.items()]

    limits = ", ".join(
        f"{name} from {low:g}" for name, (low, _) in slices.light_limits.items() if low > 0
    )
    html = (
        f'<div class="columns"><div><h3>Cameras</h3>{table(headings, rows(slices.camera))}</div>'
        f"<div><h3>Light</h3>{table(headings, rows(slices.light))}</div></div>"
    )
    return Section(
        "Cameras and light",
        html,
        f"By mean luminance of the image, 0 black to 1 white: {limits}, darker ones dark.",
    )


def _objects(scores: Scores) -> Section:
    slices = scores.slices
    of_classes = table(
        ("class", "AP50", "AP50:95", "AP50 over 12 px"),
        [
            (
                name,
                scores.map50_by_class[name],
                scores.map50_95_by_class[name],
                scores.map50_tall_by_class[name],
            )
            for name in scores.map50_by_class
        ],
    )
    of_sizes = table(
        ("class and height", "objects", "AP50", "found"),
        [
            (f"{name}, {size.text}", score.objects, score.ap50, score.recall)
            for name in scores.map50_by_class
            for size in slices.size
            if (score := size.by_class[name]).objects
        ],
    )
    note = (
        f"{scores.boxes.capitalize()} boxes; heights in the network's input. Found: share "
        f"overlapped by half by a detection of score {slices.score_threshold:g} or more, which "
        "is what the loop reports."
    )
    return Section("Objects", f'<div class="columns">{of_classes}{of_sizes}</div>', note)


def _calibration(scores: Scores) -> Section:
    calibration = scores.calibration
    plots = []
    if calibration.scene.count:
        title = f"Scene labels, error {fraction(calibration.scene.ece)}"
        plots.append(plot.reliability(calibration.scene, title, "probability of the label"))
    if calibration.objects.count:
        title = f"Objects, error {fraction(calibration.objects.ece)}"
        plots.append(plot.reliability(calibration.objects, title, "score of the detection"))
    note = (
        "Of the predictions of one confidence, the share that is right: bars on the dashed line "
        "are honest, red gaps are too sure (or not sure enough). Grey: how many, logarithmic. "
        "The error is the mean gap, weighted by count. Objects: detections of score "
        f"{calibration.least_score:g} or more, right at an overlap of 0.5."
    )
    return Section("Reliability", f'<div class="columns">{"".join(plots)}</div>', note)


def _pictures(gallery: Gallery) -> list[Section]:
    legend = "".join(
        f'<li><i style="background:rgb{colour}"></i>{escape(name)}</li>'
        for name, colour in gallery.colours.items()
    )
    legend = f'<ul class="legend">{legend}</ul>' if legend else ""
    boxes = "Boxes: green found, red false, red dashed missed, grey dotted not scored."

    def section(title: str, pictures: Sequence[Picture], note: str) -> list[Section]:
        html = legend + "".join(picture.html() for picture in pictures)
        return [Section(title, html, note)] if pictures else []

    return [
        *section("Examples", gallery.examples, f"Evenly spaced. Image, truth, prediction. {boxes}"),
        *section("Worst images", gallery.worst, f"Lowest mean IoU of one image. {boxes}"),
        *section("Most objects missed", gallery.most_missed, boxes),
    ]
