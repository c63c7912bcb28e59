from . import intake, letters  # noqa: F401
