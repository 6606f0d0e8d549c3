"""The Beam pipeline: plan shards, then read and verify, resolve, fold, derive, evaluate, write.

Elements are descriptors, never rows; the graph is linear and has one sink, our own, because some
runners drop branches or write empty files without saying so (docs/decisions/0004-beam.md).
"""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from enfold.ledger.engine import cores
from enfold.run.plan import Shard
from enfold.run.sampler import sampled_often
from enfold.run.shard import Job, work

LOCAL = frozenset({"FnApiRunner", "DirectRunner"})
UNLISTED = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}  # Beam finds it by its path only


class FoldAndEvaluate(beam.DoFn):
    """Turn one shard descriptor into written state and results."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, element: str) -> Iterator[str]:
        """Work one shard; yields its name, and whether it failed."""
        shard = Shard.parse(element)
        yield shard.name if work(self.job, shard) else f"{shard.name} failed"


@sampled_often()
def run_pipeline(job: Job, shards: Iterable[Shard], runner: str, options: list[str]) -> None:
    """Build and run the pipeline; blocks until every shard is written."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    descriptors = [s.text for s in shards]
    if runner in LOCAL and len(descriptors) > 1 and not any(o.startswith("--direct_") for o in options):
        # DuckDB and Arrow work outside the interpreter's lock, so threads do, and share what was loaded
        options = [*options, "--direct_running_mode=multi_threading", f"--direct_num_workers={cores()}"]
    pipeline = beam.Pipeline(runner=_runner(runner), options=PipelineOptions(options))
    build(pipeline, job, descriptors)
    result = pipeline.run()
    try:
        result.wait_until_finish()
    finally:
        if runner == "DaskRunner":
            result.client.close()  # which Beam leaves open


def build(pipeline: beam.Pipeline, job: Job, descriptors: list[str]) -> None:
    """Say what the pipeline does."""
    planned = pipeline | "plan shards" >> beam.Create(descriptors)
    if len(descriptors) > 1:  # one alone needs no spreading, which takes a tenth of a second
        planned = planned | "spread over workers" >> beam.Reshuffle()
    planned | "read, verify, fold, evaluate, write" >> beam.ParDo(FoldAndEvaluate(job))


def _runner(name: str) -> Any:
    if name in LOCAL:
        # DirectRunner first tries to download another runner; this is what it falls back to
        return FnApiRunner()
    return create_runner(UNLISTED.get(name, name))
