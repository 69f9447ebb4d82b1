"""Durations of a run of any length in a few kilobytes.

Buckets grow by a constant factor, so a percentile is as near to the truth, relatively, for
microseconds as for seconds (DDSketch: Masson, Rim and Lee, "A fast and fully-mergeable quantile
sketch with relative-error guarantees", VLDB 2019).
"""

import math

import numpy as np

RELATIVE_ERROR = 0.005
"""Most by which a percentile differs from one of the durations, as a share of it."""
_LEAST_S, _MOST_S = 1e-6, 1e4
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


class Histogram:
    """Count, sum and largest are exact, in seconds; percentiles are within RELATIVE_ERROR.

    Durations under a microsecond count as none, those over 10,000 s fall into the last bucket.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum = self.largest = 0.0
        self._buckets = np.zeros(1 + _bucket(_MOST_S), np.int64)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration, `times` times."""
        self.count += times
        self.sum += times * seconds
        self.largest = max(self.largest, seconds)
        self._buckets[_bucket(seconds)] += times

    def percentile(self, percent: float) -> float:
        """The least duration that `percent` of all do not exceed. 0 when there is none."""
        rank = max(1, math.ceil(self.count * percent / 100))
        bucket = int(np.searchsorted(np.cumsum(self._buckets), rank))
        if bucket == 0 or self.count == 0:
            return 0.0
        # The value that is as far, relatively, from both ends of its bucket.
        return min(_LEAST_S * _GROWTH**bucket * 2 / (_GROWTH + 1), self.largest)


def _bucket(seconds: float) -> int:
    """0 up to the least duration, then one for each step of growth."""
    if seconds <= _LEAST_S:
        return 0
    return math.ceil(math.log(min(seconds, _MOST_S) / _LEAST_S) / math.log(_GROWTH))
