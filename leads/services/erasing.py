"""A person deleted on purpose: what tells who they are goes, the numbers of the reports stay, and their signs leave a
digest, so that an old list or a late letter does not make them anew."""

from django.db import transaction
from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat

from crm.core.models import AuditEntry
from leads.models import (
    Call,
    CallNews,
    ChatLine,
    Conversation,
    Identity,
    Interaction,
    Lead,
    Message,
    PageView,
    Person,
    Submission,
    Tombstone,
)
from leads.services import chat_files, letter_files, parts

PERSON = {"name": "", "job_title": "", "city": "", "birthday": None, "sex": "", "preferences": "", "company": None}
LEAD = {
    "name": "", "phone": "", "email": "", "company_name": "", "job_title": "", "need": "", "authority": "", "custom": {},
    "tags": [], "company": None,
}  # fmt: skip


@transaction.atomic
def erase(person, *, by):
    """Forget who this was; returns how many signs are remembered as digests."""
    person = Person.objects.select_for_update().get(pk=person.pk)
    signs = list(Identity.objects.filter(person=person).exclude(kind=Identity.Kind.VISITOR))
    graves = [Tombstone(digest=Tombstone.digest_of(s.kind, s.value, s.scope)) for s in signs]
    Tombstone.objects.bulk_create(graves, ignore_conflicts=True)
    Identity.objects.filter(person=person).delete()
    Person.objects.filter(pk=person.pk).update(**PERSON)
    Lead.objects.filter(person=person).update(**LEAD)
    Interaction.objects.filter(person=person).update(text="", details={})
    chat_files.forget(person)
    Message.objects.filter(person=person).update(to="", subject="", text="", html="", form={})
    receipts = Submission.objects.filter(person=person)
    parts.forget(receipts)
    receipts.filter(part="").update(body=b"")
    receipts.update(parsed=None, headers={}, sha256="")
    letter_files.forget(person)
    CallNews.objects.filter(call__person=person).delete()
    Call.objects.filter(person=person).update(client="", name="", recording="", note="")
    ChatLine.objects.filter(conversation__person=person).delete()
    nameless = Concat(Value("erased-"), Cast("pk", CharField()))  # the provider's id of a chat may be a phone
    Conversation.objects.filter(person=person).update(title="", details={}, chat=nameless)
    PageView.objects.filter(person=person).update(person=None)
    AuditEntry.objects.create(user=by, action="person_erased", subject=str(person.pk), details={"signs": len(signs)})
    return len(signs)
