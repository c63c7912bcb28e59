from . import letters  # noqa: F401
