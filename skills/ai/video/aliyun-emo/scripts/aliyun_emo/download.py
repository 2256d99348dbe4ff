"""What is behind a link and its redirects; a video whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote, urljoin

from aliyun_emo import answers, clock
from aliyun_emo.refusals import shown_words
from aliyun_emo.settings import Settings, times_until
from aliyun_emo.transport import NoAnswer, Reply, exchange

TRIES = 3  # of a download, at most one more than service.PAUSES
REDIRECTS = 5  # that are followed
MAX_VIDEO = 512 * 1024 * 1024  # bytes
SLOWEST, SLOW_TIME = 1024, 60  # bytes a second, over as many seconds
PRINTING = "".join(map(chr, range(33, 127)))  # what may stand in the first line of a request


def follow_redirects(url: str, settings: Settings, check: Callable[[str], object] = str) -> Reply:
    """Return the reply of `url`, behind redirects, which `check` sees; raises `NoAnswer`."""
    for _ in range(REDIRECTS + 1):
        url = quote(url, PRINTING, errors="surrogateescape")  # redirects have spaces, and more
        reply = exchange(url, None, {}, times_until(settings.deadline), settings.patience)
        if reply.status not in (301, 302, 303, 307, 308):
            return reply
        location = reply.headers.get("Location", "")
        reply.close()
        try:
            # http.client reads headers as Latin-1, and servers write UTF-8.
            url = urljoin(url, location.encode("latin-1").decode("utf-8", "surrogateescape"))
        except ValueError:
            raise NoAnswer("it redirects to what is no URL") from None
        check(url)
    raise NoAnswer("it redirects too often")


def video_pieces(url: str, settings: Settings) -> Iterator[bytes]:
    """Yield the video at `url`, following redirects; raises `NoAnswer`."""
    with closing(follow_redirects(url, settings._replace(deadline=clock.FOREVER))) as reply:
        if reply.status != 200:
            raise NoAnswer(f"HTTP {reply.status}", answers.is_over_soon(reply.status))
        yield from checked_pieces(reply, settings)


def checked_pieces(reply: Reply, settings: Settings) -> Iterator[bytes]:
    of = f" of {reply.length / 1e6:.1f}" if reply.length else ""
    due, boxes, head = -1, VideoBoxes(), b""
    while True:
        if boxes.size > due:  # what a minute should bring has to come within the next one
            due = boxes.size + SLOWEST * SLOW_TIME
            reply.connection.limit(SLOW_TIME)
        piece = reply.read()
        boxes.add(piece)
        head += piece[: 8 - len(head)]  # the first box is "ftyp" (ISO/IEC 14496-12, 4.3)
        if not b"ftyp".startswith(head[4:]) or (not piece and reply.length == boxes.size < 8):
            raise NoAnswer(f"what came is no video: {shown_words(head.decode('latin-1'))}")
        if boxes.size > MAX_VIDEO:
            raise NoAnswer(f"it is larger than {MAX_VIDEO >> 20} MiB")
        if not piece:
            break
        settings.progress.show("downloading", f" {boxes.size / 1e6:.1f}{of} MB")
        yield piece
    whole = "" if reply.length is None else f" of {reply.length}"
    if reply.is_cut or not (whole or boxes.are_whole):
        raise NoAnswer(f"it is cut short: {boxes.size}{whole} bytes", again=True)


class VideoBoxes:
    """The top-level boxes of a video (ISO/IEC 14496-12, 4.2), of which `size` bytes have come."""

    def __init__(self) -> None:
        self.size = self.missing = 0  # bytes of the last box that are still to come
        self.box = b""  # how one begins whose length is not known yet

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        data, at = self.box + piece, self.missing
        while length := length_of(data[at : at + 16]):
            at += length
        self.box, self.missing = data[at : at + 16], max(at - len(data), 0)
        self.are_whole = self.size > 0 and not self.missing and not self.box  # none without length


def length_of(box: bytes) -> int:
    """Return the length of the `box` that begins so, 0 where it is not known yet, or has none."""
    is_large = box[:4] == b"\0\0\0\1"
    length = int.from_bytes(box[8:16] if is_large else box[:4], "big")
    return length if length >= 8 and len(box) >= (16 if is_large else 8) else 0
