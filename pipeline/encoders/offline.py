"""What to say when a model's files are neither on this machine nor within reach."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import ChoreoError


def unreachable(what: str, where: str) -> ChoreoError:
    """The error for files that are not here and could not be fetched.

    Args:
        what: the files, as a person would ask for them ("the weights of 'swin3d_t'").
        where: where to put them, or which option to point at them.
    """
    return ChoreoError(
        f"{what} are not on this machine and could not be fetched",
        "the machine has no network, HF_HUB_OFFLINE is set, or the name is misspelt",
        f"fetch them once where there is a network, then {where}",
    )


@contextmanager
def fetching(what: str, where: str) -> Iterator[None]:
    """Turn the many errors of a failed download (all of them OSError) into `unreachable`."""
    try:
        yield
    except OSError as error:
        raise unreachable(what, where) from error


def hub_cache(repository: str) -> str:
    """Where the files of a Hugging Face repository are looked for, in words that end a mend."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = "models--" + repository.strip("/").replace("/", "--")
    return f"copy the folder {folder} into {HF_HUB_CACHE} (HF_HOME moves it), or name a local copy"
