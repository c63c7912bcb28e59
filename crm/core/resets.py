"""A forgotten password: the letter with the link goes out by a job, so that asking takes as long for an address that
nobody has, and a mail server that is down for a moment loses no letter.
"""

from email.utils import formataddr
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation, User

TASK = "core.reset_letter"


class ResetForm(PasswordResetForm):
    def save(self, **_options):
        for user in self.get_users(self.cleaned_data["email"]):
            enqueue(TASK, user.pk)


def send(pk):
    """To the stored address alone, with the public address of the product, whatever the request called it."""
    user = User.objects.filter(pk=pk, is_active=True).exclude(email="").first()
    if user is None or not user.has_usable_password():
        return
    public = urlsplit(settings.PUBLIC_URL)
    uid = urlsafe_base64_encode(str(user.pk).encode())
    context = {"user": user, "uid": uid, "token": default_token_generator.make_token(user)}
    context |= {"protocol": public.scheme, "domain": public.netloc}
    with override(Organisation.get().language_for(user)):
        subject = " ".join(render_to_string("registration/password_reset_subject.txt", context).split())
        text = render_to_string("registration/password_reset_email.html", context)
    EmailMessage(subject, text, from_email=_sender(), to=[user.email]).send()


def _sender():
    """The address that the company writes from, as in its other letters; None: that of the installation."""
    company = Organisation.get()
    return formataddr((company.name, company.from_email)) if company.from_email else None
