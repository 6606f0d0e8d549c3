"""The same pipeline on a cluster: separate worker processes, shared storage, the same digests."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.environments import ExternalEnvironment

from enfold.errors import EnfoldError
from enfold.fold.cut import Cut
from enfold.run import pipeline
from enfold.run.run import run
from enfold.run.shard import Job
from tests_support import SMALL, same

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
CODERS = {f"beam:coder:{c}:v1" for c in (
    "bytes", "varint", "global_window", "nullable", "string_utf8", "tuple", "iterable", "kv", "pickled_python",
)}  # fmt: skip
WORKER = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]


def listening(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process of its own session; what it started ends with it."""
    started = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while not listening(port):
        assert time.monotonic() < until, "the service did not start"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(light: Path) -> dict[str, object]:
    """The run on one machine."""
    return run(light, rows_per_shard=SMALL, again=True)


@pytest.fixture
def scheduler() -> Iterator[str]:
    port = free_port()
    with process("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"):
        wait_for(port)
        yield f"tcp://127.0.0.1:{port}"


def test_dask_workers_give_the_digests_of_one_machine(light: Path, alone: dict[str, object], scheduler: str) -> None:
    worker = ("distributed.cli.dask_worker", scheduler, *WORKER)
    with process(*worker), process(*worker):
        found = run(
            light, rows_per_shard=SMALL, again=True, runner="DaskRunner", options=[f"--dask_client_address={scheduler}"]
        )
    assert same(found, alone)
    assert found["worked"] == alone["shards"]
    assert found["runner"] == "DaskRunner"


def test_a_worker_killed_in_mid_run_costs_a_retry(light: Path, alone: dict[str, object], scheduler: str) -> None:
    worker = ("distributed.cli.dask_worker", scheduler, *WORKER)
    shards = light / "runs" / str(alone["run"])[:16] / "shards"
    finished_before = []

    with process(*worker) as victim, process(*worker):

        def kill() -> None:
            for path in shards.glob("*.json"):  # those of the earlier run; `again` removes them
                path.unlink(missing_ok=True)
            while not list(shards.glob("*.json")):
                time.sleep(0.01)
            finished_before.extend(shards.glob("*.json"))
            victim.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        found = run(
            light, rows_per_shard=SMALL, again=True, runner="DaskRunner", options=[f"--dask_client_address={scheduler}"]
        )
        killer.join()
        assert victim.wait() == -signal.SIGKILL
    assert 0 < len(finished_before) < len(alone["shards"])  # type: ignore[arg-type]
    assert same(found, alone)


def test_the_portable_job_server_and_a_worker_pool_give_the_same_digests(
    light: Path, alone: dict[str, object], tmp_path: Path
) -> None:
    port_file, pool = tmp_path / "port", free_port()
    with (
        process("apache_beam.runners.portability.local_job_service_main", "--port_file", str(port_file), "-p", "0"),
        process("apache_beam.runners.worker.worker_pool_main", "--service_port", str(pool)),
    ):
        until = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text():
            assert time.monotonic() < until, "the job server did not start"
            time.sleep(0.05)
        wait_for(pool)
        options = [
            f"--job_endpoint=localhost:{port_file.read_text().strip()}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool}",
        ]
        found = run(light, rows_per_shard=SMALL, again=True, runner="PortableRunner", options=options)
    assert same(found, alone)
    assert found["worked"] == alone["shards"]


def test_a_runner_that_drops_elements_in_silence_is_noticed(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline.run_pipeline

    def lossy(job: Job, shards: list[object], runner: str, options: list[str]) -> None:
        whole(job, shards[1:], runner, options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "run_pipeline", lossy)
    with pytest.raises(EnfoldError, match="reported nothing although the pipeline ended"):
        run(light, rows_per_shard=SMALL, again=True)


def test_the_graph_is_one_line_of_standard_transforms_and_coders() -> None:
    """What a Flink, Spark or Dataflow job service is sent; its user function is unpickled in another interpreter."""
    graph = beam.Pipeline()
    pipeline.build(graph, Job("/shared/ledger", "/shared/runs/abc", Cut(7), "[study]"), ["0000-0512", "0512-1024"])
    proto = graph.to_runner_api(default_environment=ExternalEnvironment("pool:50000"))
    parts = proto.components
    assert {e.urn for e in parts.environments.values()} == {"beam:env:external:v1"}
    assert {c.spec.urn for c in parts.coders.values()} <= CODERS
    leaves = [t for t in parts.transforms.values() if not t.subtransforms and t.spec.urn]
    assert {t.spec.urn for t in leaves} == {f"beam:transform:{t}:v1" for t in ("impulse", "pardo", "group_by_key")}
    consumed = [c for t in leaves for c in t.inputs.values()]
    assert len(consumed) == len(set(consumed)), "a collection has two consumers"
    [ours] = [t for t in leaves if t.unique_name == "read, verify, fold, evaluate, write"]
    payload = beam_runner_api_pb2.ParDoPayload.FromString(ours.spec.payload).do_fn.payload
    assert len(payload) < 4_096  # descriptors and settings, no rows
    script = "import sys; from apache_beam.internal import pickler; print(pickler.loads(sys.stdin.buffer.read())[0].job.target)"
    out = subprocess.run([sys.executable, "-c", script], input=payload, capture_output=True, check=True)
    assert out.stdout.strip() == b"/shared/runs/abc"
