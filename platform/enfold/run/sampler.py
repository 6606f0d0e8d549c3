"""Beam's sampler: how often it looks at what a worker does, which is how long a bundle may wait before it ends."""

import contextlib
from collections.abc import Iterator

from apache_beam.runners.worker.statesampler import DEFAULT_SAMPLING_PERIOD_MS, StateSampler

OFTEN = 10  # milliseconds


@contextlib.contextmanager
def sampled_often() -> Iterator[None]:
    """Let bundles of this process end when they are done.

    Beam looks five times a second, and a bundle waits for the next look: a tenth of a second on average, which is much
    after one event. How often is no option, only the default value of an argument; where it is not, all stays as it is.
    """
    usual = StateSampler.__init__.__defaults__
    if usual != (DEFAULT_SAMPLING_PERIOD_MS,):
        yield
        return
    StateSampler.__init__.__defaults__ = (OFTEN,)
    try:
        yield
    finally:
        StateSampler.__init__.__defaults__ = usual
