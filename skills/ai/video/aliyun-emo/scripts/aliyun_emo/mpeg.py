"""Frames of MPEG audio, whose third layer is MP3, and the tags that stand before and between them.

ISO/IEC 11172-3 (MPEG 1) and 13818-3 (MPEG 2), 2.4.1.3 and 2.4.2.3 (header); MPEG 2.5 is a custom.
"""

from __future__ import annotations

import re
from collections import namedtuple
from functools import cache

LAYERS = ("", "an MP1 (MPEG layer I)", "an MP2 (MPEG layer II)", "an MP3")
# kbit/s of MPEG audio by its header's index, from 1 on, for MPEG 1 or not, and the layer.
BIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Where a frame may begin, with a valid version, layer, bit rate and sampling rate; or a tag.
FRAME_OR_TAG = rb"\xff[\xe2\xe3\xf2-\xf7\xfa-\xff][%s]|ID3[\2-\4]|APETAGEX" % b"".join(
    b"\\x%x0-\\x%xb" % (index, index) for index in range(1, 15)
)
INFO_FIELDS = ((1, 4), (2, 4), (4, 100), (8, 4))  # flag and bytes: frames, bytes, seeking, quality
DECODER_DELAY = 529  # samples that any decoder of layer III comes late
CHAIN = 3  # frames in a row that no chance makes
NEAR = 4096  # bytes after a frame within which one of the same stream is believed alone
FIRST_WITHIN = 1024 * 1024  # bytes within which the first frame is looked for
MARGIN = 8192  # bytes: more than a chain of the longest frames
TRIES = 50_000  # places where a frame might begin that are looked at: noise has too many

# MPEG audio of one kind: `samples` of each frame, `lengths` of frames by their first three bytes.
Stream = namedtuple("Stream", "layer rate samples lengths")


class Frames:
    """Goes through the frames in a `block` of bytes; `at` is how far it has come."""

    def __init__(self, block: bytes) -> None:
        self.block, self.at, self.tries = block, 0, TRIES
        self.stream = Stream(0, 0, 0, {})

    def run(self) -> int:
        """Go over the frames of the stream that follow each other here; returns how many."""
        lengths, block, at, count = self.stream.lengths, self.block, self.at, 0
        try:
            while True:
                at += lengths[block[at : at + 3]]  # 600,000 times in 15 MiB of the shortest
                count += 1
        except KeyError:  # the end of the block, or of the stream
            self.at = at
        return count

    def find(self, limit: int) -> bool:
        """Go on to where a frame begins, over noise and tags; False where none does up to `limit`.

        A frame of the stream so far is taken soon after the last one, others as a chain.
        """
        near = self.at + NEAR
        while self.tries and self.at < limit:
            found = re.compile(FRAME_OR_TAG).search(self.block, self.at)
            self.at = found.start() if found else max(self.at, len(self.block) - 2)
            if not found:
                return False
            self.tries -= 1
            tag = tag_length(self.block[self.at : self.at + 24])
            if tag or self.block[self.at] != 0xFF:
                self.at += tag if 0 < tag <= len(self.block) - self.at else 1
                continue
            stream = stream_of(self.block[self.at + 1] & 0x1E, self.block[self.at + 2] & 0x0C)
            if (stream is self.stream and self.at <= near) or self.is_chain(stream):
                self.stream = stream
                return True
            self.at += 1
        return False

    def is_chain(self, stream: Stream) -> bool:
        """Return whether a chain of frames of `stream` begins here, or the few that are all.

        Programs are full of what looks like layer I, so that I and II must be there from the start.
        """
        if stream.layer != 3 and self.at:
            return False
        at = self.at
        for _ in range(CHAIN):
            head = self.block[at : at + 3]
            if head not in stream.lengths:
                return not self.at and head in (b"", b"TAG", b"APE", b"ID3")
            at += stream.lengths[head]
        return True

    def skip_info(self) -> int:
        """Go over the frame here when it is no sound but an encoder's; returns the samples to drop.

        Its counts are not read, since they may lie. What a LAME tag says is the silence at both
        ends that decoders cut off (LAME Tag, revision 1).
        """
        frame = self.block[self.at :][: self.stream.lengths[self.block[self.at : self.at + 3]]]
        at = max(frame.find(name, 0, 44) for name in (b"Xing", b"Info"))
        if at < 0 and frame[36:40] != b"VBRI":
            return 0
        self.at += len(frame)
        fields = int.from_bytes(frame[at + 4 : at + 8], "big")
        at += 8 + sum(length for bit, length in INFO_FIELDS if fields & bit)
        if frame[at : at + 4] not in (b"LAME", b"Lavf", b"Lavc"):
            return 0
        delays = int.from_bytes(frame[at + 21 : at + 24], "big")
        return (delays >> 12) + max(delays & 0xFFF, DECODER_DELAY)


@cache
def stream_of(kind: int, pace: int) -> Stream:
    """Return the stream of a `kind`, version and layer, and a `pace`: byte 1 & 0x1E, 2 & 0x0C."""
    version, layer = kind >> 3, 4 - (kind >> 1 & 3)
    is_1 = version == 3  # 2 is MPEG 2, with half the sampling rates, 0 is MPEG 2.5, with a quarter
    rate = (44100, 48000, 32000)[pace >> 2] // {3: 1, 2: 2, 0: 4}[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and not is_1 else 1152
    slot = 4 if layer == 1 else 1  # bytes that lengths are a multiple of
    lengths = {}
    for index, kbit in enumerate(BIT_RATES[is_1, layer], 1):
        for flags in range(8):  # protection, padding, private
            head = bytes((0xFF, 0xE0 | kind | flags >> 2, index << 4 | pace | flags & 3))
            slots = samples * 125 * kbit // (rate * slot) + (flags >> 1 & 1)
            lengths[head] = slots * slot
    return Stream(layer, rate, samples, lengths)


def is_free_format(data: bytes) -> bool:
    """Return whether `data` begins with frames of MP3 that leave it open how long they are."""
    if not re.match(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\0-\x0b]", data):  # the bit rate's index is 0
        return False
    again = [data[:2] + bytes([data[2] & 0xFC | flags]) for flags in range(4)]
    return any(data.find(header, 24) > 0 for header in again)


def tag_length(head: bytes) -> int:
    """Return the length of the ID3v2 or APE tag that begins with `head`, 0 where none does.

    ID3v2.4, 3.1 (header; 7 bits of a length a byte), 3.4 (footer); APEv2 (a footer may be alone).
    """
    if head.startswith((b"ID3\2", b"ID3\3", b"ID3\4")) and head[9:10] and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return size + (20 if head[5] & 0x10 else 10)
    if head.startswith(b"APETAGEX") and len(head) >= 24:
        return 32 + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    return 0
