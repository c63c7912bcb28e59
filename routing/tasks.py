from crm.core.jobs import enqueue, job
from routing import services


@job("routing.deal")
def deal(ref):
    """One chunk of the pool. ``ref``: when or why it is dealt, or where the chunk before ended ("after:score:key")."""
    after = tuple(map(int, ref.split(":")[1:])) if ref.startswith("after:") else None
    ended = services.deal_pool(after=after)
    if ended:
        enqueue("routing.deal", "after:{}:{}".format(*ended))
