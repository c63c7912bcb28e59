from . import calls, intake, letters, people  # noqa: F401
