"""The commands for sounds: add them to the library, look them up, list, download, keep and delete them."""

import asyncio
import mmap
import tempfile

from tertium.audio import files
from tertium.audio.warp import Excerpt
from tertium.daemon import log
from tertium.daemon.handlers import resolve
from tertium.daemon.handlers.registry import Context, Services, handles
from tertium.errors import SoundError, TertiumError
from tertium.storage.library import Sound
from tertium_protocol import messages as m
from tertium_protocol.codecs.audio_buffer import LARGEST_BUFFER, AudioBuffer


@handles("add_sound")
async def add_sound(services: Services, request: m.AddSound, context: Context) -> m.SoundInfo:
    markers = request.pairs
    excerpt = Excerpt.warped(markers) if markers else Excerpt(files.Span(request.start, request.end), request.seconds)
    options = {"name": request.name, "excerpt": excerpt}

    if request.path is not None:
        roots = services.allowed_folders.roots
        found = await services.adding.join(request, lambda: services.library.add_path(request.path, roots, **options))
        return sound_info(found)

    def add() -> Sound:
        buffer = context.buffers[0]
        return services.library.add_samples(
            buffer.to_array(), buffer.sample_rate, origin={"buffer": context.session.name}, **options
        )

    return sound_info(await asyncio.to_thread(add))


@handles("allow")
async def allow(services: Services, request: m.Allow, context: Context) -> m.AllowReply:
    folder = await asyncio.to_thread(services.allowed_folders.allow, request.path)
    return m.AllowReply(path=str(folder), walls=0 if services.allowed_folders.roots is None else 1)


@handles("sound")
async def sound(services: Services, request: m.Sound, context: Context) -> m.SoundInfo:
    return sound_info(await asyncio.to_thread(resolve.sound, services, request.sound, field="sound"))


@handles("sounds")
async def sounds(services: Services, request: m.Sounds, context: Context) -> m.SoundsReply:
    def read() -> tuple[list[Sound], int]:
        return services.library.list(request.offset, request.limit), services.library.count()

    page, total = await asyncio.to_thread(read)
    return m.SoundsReply(total=total, sounds=tuple(sound_info(one) for one in page))


@handles("keep")
async def keep(services: Services, request: m.Keep, context: Context) -> m.SoundInfo:
    def mark() -> Sound:
        found = resolve.sound(services, request.sound, field="sound")
        return services.library.keep(found.id, kept=bool(request.kept))

    return sound_info(await asyncio.to_thread(mark))


@handles("delete_sound")
async def delete_sound(services: Services, request: m.DeleteSound, context: Context) -> m.DeleteSoundReply:
    found = await asyncio.to_thread(resolve.sound, services, request.sound, field="sound")
    job = services.housekeeper.job_that_needs(found.id)
    if job is not None:
        raise TertiumError(
            "conflict", f"The sound '{found.name}' is needed by job {job.id}, which is {job.state}.", field="sound", value=request.sound,
            remedy="Wait until it has ended, or cancel it.",
        )  # fmt: skip
    size = await asyncio.to_thread(services.library.delete, found.id)
    log.event("sound deleted", sound=found.id, name=found.name, bytes=size)
    return m.DeleteSoundReply(sound=found.id, name=found.name, bytes=size)


@handles("clean")
async def clean(services: Services, request: m.Clean, context: Context) -> m.CleanReply:
    housekeeper = services.housekeeper
    cleaned = await (housekeeper.preview() if request.dry_run else housekeeper.clean())
    return cleaned.reply


@handles("sound_audio")
async def sound_audio(services: Services, request: m.SoundAudio, context: Context) -> m.SoundInfo:
    def read() -> tuple[Sound, AudioBuffer]:
        found = resolve.sound(services, request.sound, field="sound")
        return found, _buffer(services, found)

    found, buffer = await asyncio.to_thread(read)
    context.attached.append(buffer)
    return sound_info(found)


def _buffer(services: Services, sound: Sound) -> AudioBuffer:
    """Return a sound's samples. They stay in a temporary file, mapped into memory, from which they are sent without being copied."""
    size = 4 * sound.frames * sound.channels
    if size > LARGEST_BUFFER:
        raise SoundError(
            "out_of_range", f"'{sound.name}' has {size} bytes of samples; a buffer holds at most {LARGEST_BUFFER}.", field="sound",
            value=sound.id, remedy=f"Read its file: {sound.path}.",
        )  # fmt: skip
    if services.helpers is None:
        samples = services.library.read(sound)
        return AudioBuffer.from_array(samples.samples, samples.sample_rate)
    with tempfile.TemporaryFile() as file:
        facts = services.helpers.read_sound(sound, file)
        samples = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return AudioBuffer("f32le", data=memoryview(samples), **facts)


def sound_info(sound: Sound) -> m.SoundInfo:
    """Return the protocol's description of a sound."""
    return m.SoundInfo(
        sound=sound.id,
        name=sound.name,
        path=sound.path,
        frames=sound.frames,
        channels=sound.channels,
        sample_rate=sound.sample_rate,
        seconds=sound.seconds,
        notes=sound.notes,
        kept=int(sound.kept),
    )
