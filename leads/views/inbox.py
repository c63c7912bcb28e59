"""Letters from clients: read in a frame that runs nothing and loads nothing from elsewhere, files only downloaded."""

import base64

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods

from crm.core.fragments import part_of
from leads import imap
from leads.capture.imap import folders
from leads.capture.letter_html import has_pictures, with_pictures_of
from leads.letters import PLAIN_LOOK, frame_length
from leads.models import IncomingLetter, Lead, LetterFile, MailFolder, Source
from leads.services import mailboxes
from leads.views import answers
from leads.views.receipts import readers

SANDBOX = "default-src 'none'; sandbox"
MAX_INLINE = 3 * 1024 * 1024  # bytes of pictures that stand in the letter itself
# How a letter looks that says nothing of its looks.
LOOK = "body{font:15px/1.5 system-ui,sans-serif;margin:8px;overflow-wrap:anywhere;color:#1c1b1a}img{max-width:100%;height:auto}pre{font:inherit;white-space:pre-wrap;margin:0}"
# What a picture begins with: only what is one is shown as one, whatever its name says.
PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def _letter(request, pk, *related):
    return get_object_or_404(IncomingLetter.objects.visible_to(request.user).select_related(*related), pk=pk)


@require_GET
def letter(request, pk):
    row = _letter(request, pk, "lead", "answers", "source")
    context = {
        "letter": row,
        "files": row.files.order_by("position"),
        "pictures": request.GET.get("pictures") == "1",
        "length": frame_length(row.text),
        "has_pictures": has_pictures(row.html),
        "can_answer": row.lead_id and Lead.objects.editable_by(request.user).filter(pk=row.lead_id).exists(),
    }
    return render(request, "leads/letter_in.html", context)


@require_GET
@xframe_options_sameorigin
def body(request, pk):
    """The letter alone; pictures from elsewhere only when the reader asks for them."""
    row = _letter(request, pk)
    plain = f"{PLAIN_LOOK}<pre>{escape(row.text)}</pre>"
    page = with_pictures_of(row.html, _inline(row)) if row.html else plain
    response = HttpResponse(f'<!doctype html><meta charset="utf-8"><title></title><style>{LOOK}</style>{page}')
    remote = " https: http:" if request.GET.get("pictures") == "1" else ""
    response["Content-Security-Policy"] = (
        f"default-src 'none'; img-src data:{remote}; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; "
        "base-uri 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["Cache-Control"], response["Referrer-Policy"] = "private, no-store", "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _inline(row):
    """Data addresses of the pictures that the letter brought along, by what its HTML calls them."""
    found, room = {}, MAX_INLINE
    for file in row.files.filter(state=LetterFile.State.KEPT).exclude(cid="")[:30]:
        if file.size > room:
            continue
        try:
            with file.file.open("rb") as opened:
                raw = opened.read(MAX_INLINE + 1)
        except FileNotFoundError:
            continue
        if kind := next((kind for start, kind in PICTURES if raw.startswith(start)), ""):
            room -= len(raw)
            found[file.cid] = f"data:{kind};base64,{base64.b64encode(raw).decode()}"
    return found


@require_GET
def file(request, pk):
    """A file of a letter: only ever downloaded, whatever it says it is."""
    rows = LetterFile.objects.filter(letter__in=IncomingLetter.objects.visible_to(request.user))
    row = get_object_or_404(rows, pk=pk, state=LetterFile.State.KEPT)
    try:
        opened = row.file.open("rb")
    except FileNotFoundError:
        raise Http404 from None
    return answers.download(opened, row.name)


@require_http_methods(["GET", "POST"])
@readers
@part_of("leads:source", keys={"key": "key"})
def mailbox(request, key):
    """How far a mailbox has been read, as a part of its source's page; a post looks into it now and says what it saw."""
    source = get_object_or_404(Source, key=key, adapter="imap")
    context = {"source": source, "seen": None, "error": ""}
    if request.method == "POST":
        if not request.user.is_administrator:
            raise PermissionDenied(_("Only administrators look into mailboxes."))
        try:
            context["seen"] = mailboxes.check(source)
            mailboxes.enqueue_poll(source)
        except imap.Trouble as error:
            context["error"] = str(error)
    rows = MailFolder.objects.filter(source=source, name__in=folders(source.settings)).order_by("name")
    context["folders"] = [(row, mailboxes.trouble(row)) for row in rows]
    return render(request, "leads/_mailbox_state.html", context)
