import io

import emo_media
from emo_media import Recording  # noqa: F401


def recording(data, size=None):
    return emo_media.recording(io.BytesIO(data), size)
