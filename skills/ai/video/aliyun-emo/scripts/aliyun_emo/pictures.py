import io

import emo_media
from emo_media import Picture  # noqa: F401


def picture(data, size=None):
    return emo_media.picture(io.BytesIO(data), size)
