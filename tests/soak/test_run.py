"""The soak in small: its log is longer than its sample, its faults come alike in every round."""

from collections import Counter
from pathlib import Path

import numpy as np

from calib.rig import load_rig
from deploy.faults.table import FAULTS
from deploy.log.ego_pose import EgoTrack
from deploy.log.reader import LogReader
from tests.soak.long_log import write_long_log
from tests.soak.random_faults import ROUNDS, random_faults

SAMPLE = Path("deploy/samples/hw2.mcap")


def test_the_long_log_goes_on_where_the_sample_ends(tmp_path):
    write_long_log(SAMPLE, tmp_path / "long.mcap", 40)
    sample, log = LogReader(SAMPLE), LogReader(tmp_path / "long.mcap")
    once, images = list(sample.images()), list(log.images())
    stamps = sorted({image.stamp_ns for image in images})
    assert len(stamps) == 40 and len(set(np.diff(stamps))) == 1
    assert len(images) == 40 * len(sample.rig)
    assert [i.data for i in images] == [i.data for i in (once + once)[: len(images)]]
    # The vehicle is where it was at the same place of the sample.
    assert np.array_equal(EgoTrack(sample).at(stamps[3]), EgoTrack(log).at(stamps[33]))


def test_every_round_has_the_same_faults_by_seed():
    cameras = load_rig("hw2").names
    faults = random_faults(cameras, 10_000, 0.1, seed=1)
    assert Counter(f.fault for f in faults) == dict.fromkeys(FAULTS, ROUNDS)
    rounds = [
        {(f.fault, f.cameras, round(f.start_s % 100, 3)) for f in faults if f.start_s // 100 == i}
        for i in range(ROUNDS)
    ]
    assert all(one == rounds[0] for one in rounds)
    assert random_faults(cameras, 10_000, 0.1, seed=1) == faults
    assert random_faults(cameras, 10_000, 0.1, seed=2) != faults
