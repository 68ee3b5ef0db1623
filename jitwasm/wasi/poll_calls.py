"""Waiting for clocks and descriptors, and the calls on sockets."""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jitwasm.deadlines import time_left
from jitwasm.wasi.abi import Errno, FdFlags, FileType, Rights, WasiError, errno_of
from jitwasm.wasi.context import WasiState
from jitwasm.wasi.descriptors import Descriptor
from jitwasm.wasi.guest import GuestMemory
from jitwasm.wasi.hostfs import await_ready
from jitwasm.wasi.process_calls import read_clock

__all__ = ["CALLS", "Socket"]

_EVENT = struct.Struct("<QHB5xQH6x")
_CLOCK, _READ, _WRITE = 0, 1, 2
_ABSOLUTE = 1
_HANGUP = 1
MAX_SUBSCRIPTIONS = 65536
_LONGEST_WAIT = 1 << 30  # milliseconds: what the host can be told; then it is told again


@dataclass
class _Subscription:
    """One thing to wait for: a moment (`until`, of the monotonic clock) or a descriptor."""

    userdata: int
    kind: int
    until: int = 0
    descriptor: Descriptor | None = None
    errno: int = 0

    def event(self, size: int = 0, flags: int = 0) -> bytes:
        return _EVENT.pack(self.userdata, self.errno, self.kind, size, flags)


def _subscription(state: WasiState, memory: GuestMemory, at: int) -> _Subscription:
    kind = memory.slice(at + 8, 1)[0]
    row = _Subscription(memory.u64(at), kind)
    if kind == _CLOCK:
        clock_at = at + state.version.clock_offset
        clock = memory.u32(clock_at)
        timeout = memory.u64(clock_at + 8)
        if clock > 1:
            raise WasiError("NOTSUP" if clock < 4 else "INVAL")
        if memory.slice(clock_at + 24, 1)[0] & _ABSOLUTE:
            timeout = max(timeout - read_clock(state, clock), 0)
        row.until = time.monotonic_ns() + timeout
    elif kind in (_READ, _WRITE):
        try:
            row.descriptor = state.descriptors[memory.u32(at + 16)]
            row.descriptor.need(Rights.POLL_FD_READWRITE)
        except WasiError as error:
            row.errno = error.errno
    else:
        raise WasiError("INVAL")
    return row


def poll_oneoff(state: WasiState, rows: int, events: int, count: int, result: int) -> None:
    count &= 0xFFFFFFFF
    if count == 0 or count > MAX_SUBSCRIPTIONS:
        raise WasiError("INVAL")
    memory = state.memory()
    size = state.version.subscription_size
    waiting = [_subscription(state, memory, rows + size * i) for i in range(count)]
    found = b"".join(_wait(waiting))
    memory.put(events, found)
    memory.put_u32(result, len(found) // _EVENT.size)


def _wait(waiting: Sequence[_Subscription]) -> list[bytes]:
    """The events that have happened, after waiting until there is one."""
    poller = select.poll()
    by_fd: dict[int, list[_Subscription]] = {}
    ready = []
    for row in waiting:
        if row.kind == _CLOCK:
            continue
        fd = row.descriptor.fileno() if row.descriptor is not None else None
        if fd is None:
            size = row.descriptor.readable() if row.descriptor and row.kind == _READ else 0
            ready.append(row.event(size))
        else:
            by_fd.setdefault(fd, []).append(row)
    for fd, subscribers in by_fd.items():
        poller.register(fd, sum({_poll_mask(row) for row in subscribers}))
    moments = [row.until for row in waiting if row.kind == _CLOCK]
    while True:
        deadline = time_left()
        limits = [_LONGEST_WAIT if deadline is None else min(_ceil_ms(deadline), _LONGEST_WAIT)]
        if moments:
            limits.append(_ceil_ms(max(min(moments) - time.monotonic_ns(), 0) / 1e9))
        for fd, mask in poller.poll(0 if ready else min(limits)):
            ready.extend(_fd_events(by_fd[fd], mask))
        now = time.monotonic_ns()
        ready += [row.event() for row in waiting if row.kind == _CLOCK and row.until <= now]
        if ready:
            return ready
        if deadline is not None and time_left() == 0:
            raise WasiError("INTR")  # the program does not go on to see it


def _ceil_ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _poll_mask(row: _Subscription) -> int:
    return select.POLLIN if row.kind == _READ else select.POLLOUT


def _fd_events(subscribers: Sequence[_Subscription], mask: int) -> list[bytes]:
    events = []
    for row in subscribers:
        if mask & select.POLLNVAL:
            row.errno = int(Errno["BADF"])
            events.append(row.event())
        elif mask & (_poll_mask(row) | select.POLLHUP | select.POLLERR):
            flags = _HANGUP if mask & select.POLLHUP else 0
            size = row.descriptor.readable() if row.descriptor and row.kind == _READ else 0
            events.append(row.event(size, flags))
    return events


class Socket(Descriptor):
    """A socket the embedder opened: a listening one, or a connected one."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.socket = sock
        datagram = sock.type & socket.SOCK_DGRAM == socket.SOCK_DGRAM
        self.filetype = FileType.SOCKET_DGRAM if datagram else FileType.SOCKET_STREAM

    def read(self, buffers: Sequence[memoryview]) -> int:
        return self.receive(buffers)[0] if buffers else 0

    def receive(self, buffers: Sequence[memoryview], how: int = 0) -> tuple[int, int]:
        """Fill buffers; returns the size and the message's flags."""
        if self.wait(select.POLLIN):
            how &= ~socket.MSG_WAITALL  # it would wait beyond the deadline
        size, _, flags, _ = self.socket.recvmsg_into(buffers, 0, how)
        return size, flags

    def write(self, buffers: Sequence[memoryview]) -> int:
        if not buffers:
            return 0
        how = socket.MSG_DONTWAIT if self.wait(select.POLLOUT) else 0
        return self.socket.sendmsg(buffers, [], how)

    def wait(self, mask: int) -> bool:
        """Wait if there is a deadline; see `await_ready`."""
        if self.flags & FdFlags.NONBLOCK:
            return False
        return await_ready(self.socket.fileno(), mask)

    def set_flags(self, flags: FdFlags) -> None:
        self.socket.setblocking(not flags & FdFlags.NONBLOCK)
        self.flags = flags

    def fileno(self) -> int | None:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()


def _socket(state: WasiState, fd: int, need: Rights) -> Socket:
    descriptor = state.descriptors[fd]
    if not isinstance(descriptor, Socket):
        raise WasiError("NOTSOCK")
    descriptor.need(need)
    return descriptor


def sock_accept(state: WasiState, fd: int, flags: int, result: int) -> None:
    listener = _socket(state, fd, Rights.SOCK_ACCEPT)
    if flags & ~FdFlags.NONBLOCK:
        raise WasiError("INVAL")
    listener.wait(select.POLLIN)
    connection = Socket(listener.socket.accept()[0])
    connection.set_flags(FdFlags(flags & FdFlags.NONBLOCK))
    state.memory().put_u32(result, state.descriptors.add(connection))


_PEEK, _WAITALL = 1, 2


def sock_recv(
    state: WasiState, fd: int, iovecs: int, count: int, flags: int, result: int, out_flags: int
) -> None:
    connection = _socket(state, fd, Rights.FD_READ)
    if flags & ~3:
        raise WasiError("INVAL")
    how = (socket.MSG_PEEK if flags & _PEEK else 0) | (
        socket.MSG_WAITALL if flags & _WAITALL else 0
    )
    memory = state.memory()
    buffers = memory.buffers(iovecs, count)
    size, truncated = connection.receive(buffers, how)
    memory.put_u32(result, size)
    memory.put(out_flags, struct.pack("<H", int(bool(truncated & socket.MSG_TRUNC))))


def sock_send(state: WasiState, fd: int, iovecs: int, count: int, flags: int, result: int) -> None:
    connection = _socket(state, fd, Rights.FD_WRITE)
    if flags:
        raise WasiError("INVAL")
    memory = state.memory()
    memory.put_u32(result, connection.write(memory.buffers(iovecs, count)))


def sock_shutdown(state: WasiState, fd: int, how: int) -> None:
    connection = _socket(state, fd, Rights.SOCK_SHUTDOWN)
    if how not in (1, 2, 3):
        raise WasiError("INVAL")
    direction = {1: socket.SHUT_RD, 2: socket.SHUT_WR, 3: socket.SHUT_RDWR}[how]
    try:
        connection.socket.shutdown(direction)
    except OSError as error:
        if errno_of(error):
            raise


CALLS = {
    function.__name__: function
    for function in (poll_oneoff, sock_accept, sock_recv, sock_send, sock_shutdown)
}
