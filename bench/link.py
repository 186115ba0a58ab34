"""A network link in front of a server on this machine: a TCP proxy with a rate and a delay.

    python3 link.py HOST:PORT MEGABITS MILLISECONDS

prints its own port on 127.0.0.1 and runs until it is ended. Each direction has the rate, for all connections together,
and half of the delay, which is that of a round trip. The first bytes of a connection take a round trip longer, as if
the connection had been established over the link. Not modelled: lost packets, and the slow start of TCP.
"""

import queue
import socket
import sys
import threading
import time

CHUNK = 64 << 10
# Bytes that wait for the link, in seconds of its rate; the rest waits in the buffers of the sender.
QUEUED_SECONDS = 0.02
# Chunks of one connection between the two ends: more than fit on a link of 1 Gbit/s and 20 ms.
ON_THE_WAY = 64


class Direction:
    """One direction of the link. The bytes of all connections follow one another."""

    def __init__(self, bytes_per_second: float, delay: float):
        self.rate, self.delay, self.free_at = bytes_per_second, delay, 0.0
        self.lock = threading.Lock()

    def send(self, length: int) -> float:
        """Waits until the link takes the bytes. Returns when they arrive at its other end."""
        with self.lock:
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + length / self.rate
            free_at = self.free_at
        time.sleep(max(free_at - QUEUED_SECONDS - now, 0))
        return free_at + self.delay


def carry(direction: Direction, source: socket.socket, sink: socket.socket, not_before: float):
    """Carries bytes of a connection in one direction until its source ends or its sink is gone."""
    chunks: queue.Queue[tuple[float, bytes]] = queue.Queue(ON_THE_WAY)
    threading.Thread(target=deliver, args=(chunks, source, sink), daemon=True).start()
    data = b"first"
    while data:
        try:
            data = source.recv(CHUNK)
        except OSError:
            data = b""
        arrival = direction.send(len(data))
        chunks.put((max(arrival, not_before + direction.delay), data))


def deliver(chunks: queue.Queue, source: socket.socket, sink: socket.socket):
    """Writes chunks when they have arrived. An empty one is the end."""
    is_gone = False
    while True:
        arrival, data = chunks.get()
        if not data:
            break
        time.sleep(max(arrival - time.monotonic(), 0))
        try:
            if not is_gone:
                sink.sendall(data)
        except OSError:
            is_gone = True
            shut_down(source, socket.SHUT_RD)
    shut_down(sink, socket.SHUT_WR)


def shut_down(end: socket.socket, how: int):
    try:
        end.shutdown(how)
    except OSError:
        pass  # the other side was faster


def main():
    (host, port), megabits, milliseconds = sys.argv[1].rsplit(":", 1), float(sys.argv[2]), float(sys.argv[3])
    round_trip = milliseconds / 1000
    up, down = (Direction(megabits * 1e6 / 8, round_trip / 2) for _ in range(2))
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, int(port)))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        established = time.monotonic() + round_trip
        for direction, source, sink in ((up, client, server), (down, server, client)):
            threading.Thread(target=carry, args=(direction, source, sink, established), daemon=True).start()


if __name__ == "__main__":
    main()
