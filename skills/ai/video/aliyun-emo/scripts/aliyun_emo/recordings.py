"""The length of a recording: WAV by its samples, MP3 by its frames (tags and frames: mpeg)."""

from __future__ import annotations

import struct
from collections import namedtuple

from aliyun_emo.kinds import PARTS, RECORDING, Beginning, NotTaken, kind_of, little, refusal
from aliyun_emo.mpeg import Frames

Recording = namedtuple("Recording", "format seconds")


def recording(data: bytes, size: int | None = None) -> Recording:
    """Return what recording `data` is, the beginning of `size` bytes; raises `NotTaken` else."""
    source = Beginning(data, size)
    kind = kind_of(source)
    if not (read := RECORDINGS.get(kind.name)):
        raise refusal(kind, RECORDING)
    if (seconds := read(source, kind.start)) > 0:
        return Recording(read.__name__, seconds)  # named as formats are told
    source.need(source.size - 1, 1, "its sound")
    raise NotTaken(f"it is {kind.name} recording with no sound in it")


# Codes of a WAV's format: those whose samples are bytes each, and those that have blocks of them.
PCM, MS_ADPCM, FLOAT, A_LAW, MU_LAW, IMA_ADPCM, GSM, MP3_INSIDE = 1, 2, 3, 6, 7, 0x11, 0x31, 0x55
BITS = {PCM: (*range(1, 33), 64), FLOAT: (32, 64)}  # of a sample, as decoders take them
EXTENSIBLE = 0xFFFE  # the code stands further on
STREAMED = 100_000_000  # bytes: what writes to a pipe gives a length of 0, or one from here on up
BROKEN = "it is a WAV recording that is broken"
MISSING = 0.1  # seconds that may be missing at the end: decoders play what is there


def wav(source: Beginning, _: int) -> float:
    # Multimedia Programming Interface and Data Specifications 1.0, chapters 2 (RIFF) and 3 (WAVE);
    # New Multimedia Data Types and Data Techniques 3.0 (ADPCM, GSM); EBU Tech 3306 (RF64, ds64).
    at, length, layout = wav_data(source)
    code, channels, rate, byte_rate, block, bits = struct.unpack("<HHIIHH", layout[:16])
    samples, pace = little(layout[18:20]) * (code != EXTENSIBLE), rate  # of a block, a second
    code = little(layout[24:26]) if code == EXTENSIBLE else code
    bits = 8 if code in (A_LAW, MU_LAW) else bits
    if not channels or bits not in BITS.get(code, (bits,)):
        raise NotTaken(f"{BROKEN}: {channels} channels, {bits} bits a sample")
    there = min(length, source.size - at)
    if code in (PCM, FLOAT, A_LAW, MU_LAW):
        bits = 32 if bits == 24 and block == 4 * channels else bits
        block, samples = channels * ((bits + 7) // 8), 1
    elif code == GSM:
        block, samples = block or 65, samples or 320
    elif code not in (MS_ADPCM, IMA_ADPCM) or not (block and samples):
        block, samples, pace = 1, 1, byte_rate  # what else there is goes by its bytes
    if (length - there) * samples > MISSING * block * pace:
        source.check_end(at + length, "the sound")
    if b"RIFF" in source.at(at + length, 5):  # with or without the byte that makes it even
        raise NotTaken("it is several WAVs in a row, and players play the first: join their sound")
    if code == MP3_INSIDE:
        return mp3(Beginning(source.data[: at + there], at + there), at)
    return float(there // block * samples / pace if pace else 0)


def wav_data(source: Beginning) -> tuple[int, int, bytes]:
    """Return where the sound of a WAV begins, its bytes, and its layout."""
    # How many bytes it has is told by the data chunk, of what was written to a pipe by the file.
    at, layout, long_length = 12, b"", 0
    for _ in range(PARTS):
        head = source.need(at, 8, "the sound (the data chunk)")
        name, length = head[:4], little(head[4:])
        at += 8
        if name == b"data":
            break
        if name == b"fmt ":
            source.need(at, 16, "the layout of its sound (the fmt chunk)")
            layout = source.at(at, min(length, 40))
        elif name == b"ds64":
            long_length = little(source.at(at, 16)[8:])
        at += length
        # Some writers leave out the byte that makes a length even.
        if length % 2 and source.at(at, 4) not in (b"data", b"fmt ", b"fact", b"LIST"):
            at += 1
    else:
        raise NotTaken(f"{BROKEN}: no sound in its first {PARTS} chunks")
    if len(layout) < 16:
        raise NotTaken(f"{BROKEN}: no layout (fmt) before its sound")
    length = long_length if length == 0xFFFFFFFF else length
    return at, length if 0 < length < STREAMED else source.size - at, layout


def mp3(source: Beginning, start: int) -> float:
    """Return the seconds of the MP3 from `start` on, by its frames, since headers lie at times."""
    # Where only the beginning is at hand, or noise is too much, those that were seen stand for all.
    frames = Frames(source.data[start:])
    here, whole = len(frames.block), source.size - start
    if not frames.find(here):
        return 0.0
    frames.skip_info()
    begin, seconds = frames.at, 0.0
    while frames.find(here):
        count = frames.run()
        if frames.at > here == whole:  # at the file's own end
            count -= 1  # the last one is cut, so that decoders drop it
        seconds += count * frames.stream.samples / frames.stream.rate
    if frames.at > begin and (here < whole or not frames.tries):
        seconds *= (whole - begin) / (frames.at - begin)
    return seconds


RECORDINGS = {"a WAV": wav, "an MP3": mp3}
