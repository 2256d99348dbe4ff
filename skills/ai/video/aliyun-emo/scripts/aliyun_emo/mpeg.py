"""Frames of MP3, layer III of MPEG audio, and the tags that stand before and between them."""
# A frame begins with the bits 11111111 111vv01c iiiirrpx: version, layer, no checksum; index of the
# bit rate, sampling rate, padding, private (ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; 13818-3), which
# tell its length. There the next one begins: noise has such bits as well, but no chain of them.

import re
from collections import namedtuple
from functools import cache
from itertools import product

# kbit/s by the header's index, from 1 on, for MPEG 2 and 2.5, and for MPEG 1.
BIT_RATES = (
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
# Hz by the header's version, MPEG 1, 2 and 2.5 (a custom), and index.
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
# A third byte whose bit rate's index is 1 to 14, and that of the sampling rate 0 to 2.
THIRD = b"".join(b"\\x%x0-\\x%xb" % (index, index) for index in range(1, 15))
FRAME_OR_TAG = rb"\xff[\xe2-\xe3\xf2-\xf3\xfa-\xfb][%s]|ID3[\2-\4]|APETAGEX" % THIRD
CHAIN = 3  # frames in a row that no chance makes
NEAR = 4096  # bytes after a frame within which one of the same stream is believed alone
FIRST_WITHIN = 1024 * 1024  # bytes within which the first frame is looked for
MARGIN = 8192  # bytes: more than a chain of the longest frames
TRIES = 50_000  # places where a frame might begin that are looked at: noise has too many

# Frames of one kind: `samples` of each, and their `lengths` in bytes by their first three bytes.
Stream = namedtuple("Stream", "rate samples lengths")


@cache
def stream_of(second: int, third: int) -> Stream:
    """Return the one stream of these bytes of a header, without the bits in which frames differ."""
    version, lengths = second >> 3 & 3, {}
    rate, samples = RATES[version][third >> 2], 1152 if version == 3 else 576
    for index, kbit in enumerate(BIT_RATES[version == 3], 1):
        for no_checksum, pad, private in product((0, 1), repeat=3):
            head = bytes((0xFF, second | no_checksum, index << 4 | third | pad << 1 | private))
            lengths[head] = samples * kbit * 1000 // 8 // rate + pad
    return Stream(rate, samples, lengths)


def tag_length(head: bytes) -> int:
    """Return the length of the ID3v2 or APE tag that begins with `head`, 0 where none does."""
    # ID3v2.4, 3.1 (header; 7 bits of a length a byte), 3.4 (footer); APEv2 (a footer may be alone).
    if re.match(rb"(?s)ID3[\2-\4]..[\0-\x7f]{4}", head):
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return size + (20 if head[5] & 0x10 else 10)
    if head.startswith(b"APETAGEX") and len(head) >= 24:
        return 32 + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    return 0


class Frames:
    """Goes through the frames in a `block` of bytes; `at` is how far it has come."""

    def __init__(self, block: bytes) -> None:
        self.block, self.at, self.tries = block, 0, TRIES
        self.stream = Stream(0, 0, {})

    def find(self, limit: int) -> bool:
        """Go on to where a frame begins, over noise and tags; False where none does to `limit`."""
        # A frame of the stream so far is taken soon after the last one, others as a chain.
        near, search = self.at + NEAR, re.compile(FRAME_OR_TAG).search
        while self.tries and self.at < limit:
            found = search(self.block, self.at)
            self.at = found.start() if found else max(self.at, len(self.block) - 2)
            if not found:
                return False
            self.tries -= 1
            if self.block[self.at] == 0xFF:
                stream = stream_of(self.block[self.at + 1] & 0xFE, self.block[self.at + 2] & 0x0C)
                if (stream is self.stream and self.at <= near) or self.is_chain(stream):
                    self.stream = stream
                    return True
            tag = tag_length(self.block[self.at : self.at + 24])
            self.at += tag if 0 < tag <= len(self.block) - self.at else 1
        return False

    def is_chain(self, stream: Stream) -> bool:
        """Return whether a chain of frames of `stream` begins here, or is all of a shorter MP3."""
        at = self.at
        for _ in range(CHAIN):
            head = self.block[at : at + 3]
            if head not in stream.lengths:
                return not self.at and head in (b"", b"TAG", b"APE", b"ID3")
            at += stream.lengths[head]
        return True

    def skip_info(self) -> None:
        """Go over an encoder's own frame here, which is no sound, and whose counts may be lies."""
        head = self.block[self.at : self.at + 44]
        if b"Xing" in head or b"Info" in head or head[36:40] == b"VBRI":
            self.at += self.stream.lengths[head[:3]]

    def run(self) -> int:
        """Go over the frames of the stream that follow each other here; returns how many."""
        lengths, block, at, count = self.stream.lengths, self.block, self.at, 0
        # 600,000 times in 15 MiB of the shortest; None at the end of the block, or of the stream
        while (length := lengths.get(block[at : at + 3])) is not None:
            at += length
            count += 1
        self.at = at
        return count
