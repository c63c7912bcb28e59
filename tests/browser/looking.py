"""What a page complains of, and what axe-core finds on it."""

from axe_playwright_python.sync_playwright import Axe

STILL = "() => !document.querySelector('.htmx-request, [aria-busy=true]')"
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def listen(page, base):
    """What the page complains of while it loads and where else it asks."""
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    own = (base, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else said.append(request.url))
    return said


def sideways(page, where):
    """Whether it scrolls sideways."""
    return [f"{where}: {wide} px too wide"] if (wide := page.evaluate(WIDE)) else []


def violations(page, where, **options):
    """What axe finds on the page as it stands."""
    return [
        f"{where}: {fault['id']} {node['html'][:200]}"
        for fault in Axe().run(page, options=options).response["violations"]
        for node in fault["nodes"][:3]
    ]


def flaws(page, where):
    return sideways(page, where) + violations(page, where)
