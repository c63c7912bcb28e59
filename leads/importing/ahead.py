"""The next rows are read while the database is at work with those before."""

import contextvars
import queue
import threading

KEPT = 2  # items read ahead, besides the one that is being read
WAIT = 0.2  # seconds between two looks whether anybody still wants them
_END = object()


def ahead(items):
    """Iterate over ``items``, which a thread of their own reads; what it raises is raised here.

    The thread has ended when the iterator is closed: the file under it may be closed too.
    """
    line, unwanted = queue.Queue(KEPT), threading.Event()

    def put(item):
        while not unwanted.is_set():
            try:
                return line.put(item, timeout=WAIT)
            except queue.Full:
                continue
        return None

    def read():
        try:
            for item in items:
                put((item, None))
                if unwanted.is_set():
                    return
            put((_END, None))
        except Exception as error:
            put((_END, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(read,), daemon=True)
    thread.start()
    try:
        while (taken := line.get())[0] is not _END:
            yield taken[0]
        if taken[1]:
            raise taken[1]
    finally:
        unwanted.set()
        thread.join()
