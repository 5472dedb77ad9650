"""MQTT over WebSockets before a broker that only knows TCP, as a web server in front of it does it.

Source: OASIS MQTT 5.0, 6 "Using WebSocket as a network transport".
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Self

from websockets.sync.server import Server, ServerConnection, serve


class WebFront:
    """Forwards what comes on `path` as the subprotocol `mqtt` to the port `target`; refuses all else."""

    def __init__(self, target: int, path: str = "/mqtt", ssl: Any = None) -> None:
        self.connections = 0
        self._target = target
        self._path = path
        self._server: Server = serve(
            self._forward, "127.0.0.1", 0, subprotocols=["mqtt"], process_request=self._check, ssl=ssl,
            max_size=None,
        )  # fmt: skip
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)

    def _check(self, connection: ServerConnection, request: Any) -> Any:
        return None if request.path == self._path else connection.respond(404, "no MQTT here\n")

    def _forward(self, client: ServerConnection) -> None:
        assert client.subprotocol == "mqtt"
        self.connections += 1
        with (
            contextlib.suppress(Exception),
            socket.create_connection(("127.0.0.1", self._target), 5) as broker,
        ):
            broker.settimeout(None)
            back = threading.Thread(target=self._pump, args=(broker, client), daemon=True)
            back.start()
            for data in client:
                assert isinstance(data, bytes), "MQTT is in binary frames"
                broker.sendall(data)
            broker.shutdown(socket.SHUT_RDWR)
            back.join(5)

    @staticmethod
    def _pump(broker: socket.socket, client: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while data := broker.recv(65536):
                # Packets need not be aligned with frames (6, MQTT-6.0.0-2).
                for at in range(0, len(data), 700):
                    client.send(data[at : at + 700])
            client.close()
