"""The URLconf as a flat list: nothing that answers can be forgotten."""

from dataclasses import dataclass

from django.urls import URLResolver, get_resolver


@dataclass(frozen=True)
class Pattern:
    name: str
    route: str
    params: tuple
    public: bool

    @property
    def is_admin(self):
        return self.route.startswith("admin/")


def walk(patterns=None, prefix="", spaces=()):
    """Every URL pattern with its full name (the route where it has none)."""
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(pattern, URLResolver):
            inner = spaces + ((pattern.namespace,) if pattern.namespace else ())
            yield from walk(pattern.url_patterns, prefix + str(pattern.pattern), inner)
            continue
        name = ":".join([*spaces, pattern.name]) if pattern.name else prefix + str(pattern.pattern)
        params = tuple(pattern.pattern.converters) or tuple(pattern.pattern.regex.groupindex)
        yield Pattern(
            name, prefix + str(pattern.pattern), params, not getattr(pattern.callback, "login_required", True)
        )
