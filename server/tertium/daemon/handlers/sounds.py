"""The commands for sounds: add them to the library, look them up, list and download them."""

import asyncio

from tertium.audio import files
from tertium.audio.warp import Excerpt
from tertium.daemon.handlers import resolve
from tertium.daemon.handlers.registry import Context, Services, handles
from tertium.storage.library import Sound
from tertium_protocol import messages as m
from tertium_protocol.codecs.audio_buffer import AudioBuffer


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
    found = await asyncio.to_thread(services.library.list)
    page = found[request.offset : request.offset + request.limit]
    return m.SoundsReply(total=len(found), sounds=tuple(sound_info(one) for one in page))


@handles("sound_audio")
async def sound_audio(services: Services, request: m.SoundAudio, context: Context) -> m.SoundInfo:
    def read() -> tuple[Sound, AudioBuffer]:
        found = resolve.sound(services, request.sound, field="sound")
        samples = services.library.read(found)
        return found, AudioBuffer.from_array(samples.samples, samples.sample_rate)

    found, buffer = await asyncio.to_thread(read)
    context.attached.append(buffer)
    return sound_info(found)


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
    )
