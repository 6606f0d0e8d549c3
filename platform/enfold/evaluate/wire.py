"""Wire: messages between host and guest over a socket, tables through shared memory that nobody can change.

A message is a JSON header, file descriptors and a body. Tables travel as Arrow IPC in a sealed memory file,
so that any number of rules read one shard's evidence without a copy, and none can write to it.
"""

import json
import mmap
import os
import socket
import struct
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

_SIZES = struct.Struct("!II")
HEADER_LIMIT = 16 << 20


class BrokenWireError(Exception):
    """The other side ended, or sent what is no message."""


def send(sock: socket.socket, header: Mapping[str, Any], body: bytes = b"", fds: Sequence[int] = ()) -> None:
    """Send one message."""
    text = json.dumps(header).encode()
    sizes = _SIZES.pack(len(text), len(body))
    if fds:
        socket.send_fds(sock, [sizes], list(fds))
    else:
        sock.sendall(sizes)
    sock.sendall(text)
    sock.sendall(body)


def receive(
    sock: socket.socket, *, until: float | None = None, limit: int = 1 << 31, fds: int = 0
) -> tuple[dict[str, Any], bytes, list[int]]:
    """Return header, body and descriptors of one message.

    Raises:
        TimeoutError: it was not complete at the monotonic instant `until`.
        BrokenWireError: the other side ended, or what came is no message or larger than `limit`.
    """
    _wait(sock, until)
    if fds:
        start, got, _, _ = socket.recv_fds(sock, _SIZES.size, fds)
    else:
        start, got = sock.recv(_SIZES.size), []
    if len(start) < _SIZES.size:
        start += _exactly(sock, _SIZES.size - len(start), until) if start else b""
    if not start:
        msg = "ended"
        raise BrokenWireError(msg)
    head, size = _SIZES.unpack(start)
    if head > HEADER_LIMIT or size > limit:
        msg = "sent more than it may"
        raise BrokenWireError(msg)
    try:
        header = json.loads(_exactly(sock, head, until))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        msg = "sent what is no message"
        raise BrokenWireError(msg)
    return header, _exactly(sock, size, until), got


def _wait(sock: socket.socket, until: float | None) -> None:
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _exactly(sock: socket.socket, size: int, until: float | None) -> bytes:
    parts = []
    while size:
        _wait(sock, until)
        part = sock.recv(min(size, 1 << 20))
        if not part:
            msg = "ended in the middle of a message"
            raise BrokenWireError(msg)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Shared:
    """Tables in a sealed memory file; `fd` travels, `names` says what it holds."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self.names = sorted(tables)
        self.fd, seal = _memory_file()
        with os.fdopen(os.dup(self.fd), "wb") as sink:
            for name in self.names:
                with pa.ipc.new_stream(sink, tables[name].schema) as writer:
                    writer.write_table(tables[name])
        if seal:
            import fcntl

            every = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, every)

    def close(self) -> None:
        """Give the memory back; guests that still map it keep their view."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _memory_file() -> tuple[int, bool]:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("enfold", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), True
    with tempfile.TemporaryFile() as file:  # elsewhere than on Linux: the guest maps it read-only all the same
        return os.dup(file.fileno()), False


def mapped(fd: int, names: Sequence[str]) -> dict[str, pa.Table]:
    """Return the tables of a `Shared`, mapped read-only without a copy; closes `fd`."""
    with os.fdopen(fd, "rb") as file:
        source = pa.BufferReader(pa.py_buffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))
    return {name: pa.ipc.open_stream(source).read_all() for name in names}


def packed(table: pa.Table) -> bytes:
    """Return one table as Arrow IPC bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def unpacked(body: bytes) -> pa.Table:
    """Return the table of Arrow IPC bytes that an untrusted side sent.

    Raises:
        ValueError: they are no valid table.
    """
    try:
        table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError):  # the text of such an error may quote what was sent
        msg = "what came back is no valid Arrow table"
        raise ValueError(msg) from None
    return table
