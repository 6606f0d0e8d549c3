"""Beam's sampler is asked often while a pipeline of ours runs, and as often as before afterwards."""

import pytest
from apache_beam.runners.worker.statesampler import DEFAULT_SAMPLING_PERIOD_MS, StateSampler, get_current_tracker

from enfold.fold.cut import Cut
from enfold.run import pipeline
from enfold.run.plan import Shard
from enfold.run.sampler import OFTEN, sampled_often
from enfold.run.shard import Job

JOB = Job("ledger", "target", Cut(1), "")


def usual() -> object:
    return StateSampler.__init__.__defaults__


def test_a_bundle_of_ours_is_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def work(job: Job, shard: Shard) -> bool:
        found.append((shard.text, get_current_tracker().sampling_period_ms))
        return True

    monkeypatch.setattr(pipeline, "work", work)
    assert usual() == (DEFAULT_SAMPLING_PERIOD_MS,), "else bundles wait before they end: see run/sampler.py"
    pipeline.run_pipeline(JOB, [Shard.parse("0003-0007")], "FnApiRunner", [])
    assert found == [("0003-0007", OFTEN)]
    assert usual() == (DEFAULT_SAMPLING_PERIOD_MS,)


def test_after_a_failure_it_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(job: Job, shard: Shard) -> bool:
        msg = "of the test"
        raise RuntimeError(msg)

    monkeypatch.setattr(pipeline, "work", work)
    with pytest.raises(RuntimeError, match="of the test"):
        pipeline.run_pipeline(JOB, [Shard.parse("0003-0007")], "FnApiRunner", [])
    assert usual() == (DEFAULT_SAMPLING_PERIOD_MS,)


def test_a_sampler_of_another_shape_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateSampler.__init__, "__defaults__", (DEFAULT_SAMPLING_PERIOD_MS + 1,))
    with sampled_often():
        assert usual() == (DEFAULT_SAMPLING_PERIOD_MS + 1,)
