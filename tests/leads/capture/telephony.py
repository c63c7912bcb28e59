"""What the tests of telephony share: sources, colleagues with extensions, the state of calls in short."""

from leads.models import Call, Extension, Submission
from tests.leads.capture.conftest import make_source


def exchange(adapter, **values):
    return make_source(key=adapter, name=adapter.title(), adapter=adapter, channel="phone", **values)


def phone_of(user, source, number, account=""):
    return Extension.objects.create(user=user, source=source, number=number, account=account)


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def the_call(*names):
    call = Call.objects.get()
    return tuple(getattr(call, name) for name in names)
