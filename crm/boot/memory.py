"""What Python's collector looks through: not the program itself, again and again, while somebody waits for a page."""

import gc

YOUNG, MIDDLE, OLD = 5_000, 20, 20  # a page makes some thousands of objects and lets them go by itself


def settle():
    """To be called when the program is loaded: what is there stays, so collections pass it by."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
