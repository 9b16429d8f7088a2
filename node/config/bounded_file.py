"""Reads a file that a user named, up to a bound."""


def read_bounded(path: str, bytes_max: int) -> bytes:
    """The file's content. Raises ValueError naming the path, what is wrong and the way out.

    A pipe will do, so that a shell's ``<(…)`` works.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(bytes_max + 1)
    except IsADirectoryError:
        raise ValueError(f"{path}: is a directory; name a file in it") from None
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path!r}: a path can't hold a NUL") from None
    if len(content) > bytes_max:
        raise ValueError(f"{path}: is longer than {bytes_max} bytes; is it the right file?")
    return content
