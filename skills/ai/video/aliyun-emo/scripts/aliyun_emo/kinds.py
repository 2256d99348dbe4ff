from emo_media import NotTaken  # noqa: F401
