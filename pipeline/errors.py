"""Errors that help: what happened, the likely cause, and how to mend it."""


class ChoreoError(Exception):
    """An error a person can act on.

    Args:
        what: what happened, naming the video, file or key it happened to.
        cause: the likely cause.
        mend: what to do about it.
    """

    def __init__(self, what: str, cause: str = "", mend: str = "") -> None:
        self.what, self.cause, self.mend = what, cause, mend
        lines = [what]
        if cause:
            lines.append(f"Likely cause: {cause}")
        if mend:
            lines.append(f"Mend: {mend}")
        super().__init__("\n".join(lines))


class StorageError(ChoreoError):
    """The disk is full or read-only: no fault of any video, so the job stops."""


class VideoError(ChoreoError):
    """One video cannot be processed: a row of /failures, while its shard goes on."""
