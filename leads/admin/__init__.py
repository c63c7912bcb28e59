from . import intake, letters, people  # noqa: F401
