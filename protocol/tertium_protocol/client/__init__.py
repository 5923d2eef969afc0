"""The Python client over ZeroMQ: :class:`Client` blocks, :class:`AsyncClient` is for asyncio. Both have the same methods.

from tertium_protocol.client import Client

with Client() as client:
    job = client.submit("fuse", original="/music/drums.wav", reference="/music/hum.wav", blend=0.4)
    print(job.wait().path)
"""

from tertium_protocol.client.aio import AsyncClient
from tertium_protocol.client.blocking import Client, Job
from tertium_protocol.client.discovery import Daemon, NoDaemon, default_home, find_daemon
from tertium_protocol.client.errors import JobCancelled, NoAnswer, RemoteError
from tertium_protocol.client.job import AsyncJob
from tertium_protocol.codecs.audio_buffer import AudioBuffer

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AudioBuffer",
    "Client",
    "Daemon",
    "Job",
    "JobCancelled",
    "NoAnswer",
    "NoDaemon",
    "RemoteError",
    "default_home",
    "find_daemon",
]
