"""A fake daemon for the client's tests: a ZeroMQ peer with real sockets, whose answers each test provides."""

import json
import os
import threading

import zmq

from tertium_protocol.codecs import zeromq
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import Answer

HELLO = {"protocol": "1.0", "version": "0", "pid": 1, "home": "/", "model": "none", "state": "ready"}


class Peer:
    """A peer that answers each call with the return value of ``answers[command](call)``: a list of Answer or (Answer, buffers)."""

    def __init__(self, home, answers, *, token=None):
        self.calls = []
        self._answers = {"hello": lambda call: [reply(call, HELLO)], **answers}
        self._token = token
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._publisher = self._context.socket(zmq.PUB)
        ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in (self._router, self._publisher)]
        self._sequence = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        description = {
            "pid": os.getpid(),
            "zmq": f"tcp://127.0.0.1:{ports[0]}",
            "events": f"tcp://127.0.0.1:{ports[1]}",
            "token": token,
        }
        (home / "daemon.json").write_text(json.dumps(description))

    def close(self):
        self._ended.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while not self._ended.is_set():
            if not self._router.poll(20):
                continue
            identity, *message = self._router.recv_multipart()
            for item in self._handle(message):
                answer, buffers = item if isinstance(item, tuple) else (item, ())
                self._router.send_multipart([identity, *zeromq.encode_answer(answer, buffers)])
                if answer.event not in ("reply", "error"):
                    self._sequence += 1
                    self._publisher.send_multipart(zeromq.encode_event(answer, self._sequence))

    def _handle(self, message):
        call = zeromq.decode_call(message)
        self.calls.append(call)
        if call.token != self._token:
            return [refusal(call, ProtocolError("not_allowed", "The token is wrong.", "token"))]
        return self._answers[call.command](call)


def reply(call, fields):
    return Answer(id=call.id, event="reply", command=call.command, fields=fields)


def refusal(call, error):
    return Answer(id=call.id, event="error", command=call.command, fields=error.fields())


def event(call, name, **fields):
    return Answer(id=call.id, event=name, command=call.command, fields={"job": "j1", **fields})
