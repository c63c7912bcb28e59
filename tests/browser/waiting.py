"""Waits for the browser tests."""

import time


def until(page, script, seconds=10):
    """Wait for a script to hold, asked from outside: within the page our policy forbids ``eval``."""
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < end, f"never held: {script}"
        page.wait_for_timeout(50)
