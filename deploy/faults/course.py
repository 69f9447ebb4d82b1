"""Course: images that real processes drive, again and again, and what they must make of each."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import yaml

from calib.rig import Rig, load_rig, save_rig
from deploy.faults.running import Running
from deploy.log import channels
from deploy.log.reader import EncodedImage, LogReader
from deploy.log.stamps import to_timestamp
from deploy.loop.decode import CameraResult
from deploy.loop.engine import load_engine
from deploy.loop.join import join_frames
from deploy.loop.pipeline import Pipeline
from deploy.sinks.mcap_sink import image_annotations

# So slow that the machine keeps up beside other work. A camera repeats itself only after so many
# instants, or one that comes through again after a pause could be taken for frozen.
RATE_HZ, INSTANTS = 5.0, 23
_RECORDED_TICKS = 5
# A busy machine may miss a frame of a camera; nothing else is to be said of healthy ones.
_HEALTHY = {"ok", "late"}


@dataclass
class Driven:
    """The ticks of a recording: their times, whether the engine was called failed, what else they
    say of healthy cameras, and what is wrong: other bytes than in lockstep, or none."""

    stamps_ns: list[int] = field(default_factory=list)
    engine_failed: list[bool] = field(default_factory=list)
    unwell: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Course:
    """The first INSTANTS instants of `images`, as files in `folder`, and the results of a run in
    lockstep, which those of every process are compared with."""

    def __init__(self, folder: Path, rig: Rig, model: Path, images: Iterable[EncodedImage]) -> None:
        self.folder, self.model = folder, model
        slowed = Rig(rig.name, tuple(replace(camera, rate_hz=RATE_HZ) for camera in rig))
        save_rig(slowed, folder / "rig.yaml")
        self.rig = load_rig(folder / "rig.yaml")  # as the process reads it
        pipeline = Pipeline(self.rig, load_engine(model))
        self._expected: list[dict[str, CameraResult]] = []
        for instant, encoded in enumerate(islice(join_frames(images, rig), INSTANTS)):
            for name, image in encoded.images.items():
                file = folder / "images" / name / f"{instant:03d}.{image.format}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(image.data)
            self._expected.append(pipeline.tick(encoded).cameras)

    @cached_property
    def recording(self) -> Path:
        """A recording of a run that nothing happened to."""
        folder = self.folder / "undisturbed"
        folder.mkdir()
        with Running(self.lay_out(folder)) as run:
            run.ticks(_RECORDED_TICKS)
            run.end()
        (log,) = run.drive.glob("*.mcap")
        return log

    def lay_out(self, folder: Path) -> Path:
        """The file of a run, in a folder of its own with its rig and its network beside it."""
        shutil.copy(self.folder / "rig.yaml", folder / "rig.yaml")
        shutil.copy(self.model, folder / "model.onnx")
        cameras = {
            name: {"images": str(self.folder / "images" / name), "rate_hz": RATE_HZ, "loop": True}
            for name in self.rig.names
        }
        file = folder / "run.yaml"
        file.write_text(yaml.safe_dump({"rig": "rig.yaml", "cameras": cameras}))
        return file

    def read(self, log: Path) -> Driven:
        """What a recording says, beside what it must say."""
        reader = LogReader(log)
        of_topic = {channels.image_topic(name): name for name in self.rig.names}
        instants = {
            (of_topic[image.topic], image.stamp_ns): image.sequence % INSTANTS
            for image in reader.messages(of_topic)
        }
        driven = Driven()
        of_topic = {channels.annotations_topic(name): name for name in self.rig.names}
        annotated = set()
        for message in reader.messages(of_topic):
            key = of_topic[message.topic], message.stamp_ns
            annotated.add(key)
            expected = image_annotations(
                self._expected[instants[key]][key[0]], to_timestamp(message.stamp_ns)
            )
            if message.data != expected.SerializeToString(deterministic=True):
                driven.problems.append(f"{message.stamp_ns} ns: other bytes of {key[0]}")
        for message in reader.messages([channels.HEALTH]):
            driven.stamps_ns.append(message.stamp_ns)
            content = message.decode()
            engine = content.get("system", {}).get("engine", {})
            driven.engine_failed.append(engine.get("level") == "error")
            unwell = []
            for name, camera in content["cameras"].items():
                if camera["state"] not in _HEALTHY:
                    unwell.append(f"{message.stamp_ns} ns: healthy {name} is {camera['state']}")
                due = camera["status"] == "ok" and "network" not in camera
                if due and (name, message.stamp_ns + camera["offset_ns"]) not in annotated:
                    driven.problems.append(f"{message.stamp_ns} ns: no result of {name}")
            if unwell:
                driven.unwell.append(unwell[0])
        return driven
