"""Mailboxes over TLS, from the start and by STARTTLS: the certificate counts, and a line that breaks is only that."""

import contextlib
import datetime
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from leads import imap
from leads.models import MailFolder, Submission
from leads.services import mailboxes
from tests.leads.capture import postbox
from tests.leads.capture.postbox import Fault, letter, mailbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(certificate, key) of localhost, signed by itself."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def server(files):
    with postbox.imap_server(tls=("--cert", str(files[0]), "--key", str(files[1]))) as port:
        yield port


@pytest.fixture
def trusting(files, monkeypatch):
    """This machine trusts the certificate, as it does those of real providers."""

    def trust():
        whole = ssl.create_default_context
        monkeypatch.setattr(imap.ssl, "create_default_context", lambda: whole(cafile=str(files[0])))

    return trust


@pytest.fixture
def wrapped(server, files):
    """The port of a server that speaks TLS from the start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def through(client):
        with (
            contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", server)) as onward,
            context.wrap_socket(client, server_side=True) as inner,
        ):  # fmt: skip
            back = threading.Thread(target=carry, args=(onward, inner), daemon=True)
            back.start()
            carry(inner, onward)
            back.join(10)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                threading.Thread(target=through, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def posted(server, *letters):
    """Laid into the mailbox over STARTTLS, without which this server takes no password."""
    link = postbox.imaplib.IMAP4("127.0.0.1", server, timeout=20)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    link.starttls(context)
    link.login(postbox.USER, postbox.PASSWORD)
    for one in letters:
        assert link.append("INBOX", None, None, one.as_bytes())[0] == "OK"
    link.logout()


def taken(message_id):
    return sum(message_id.encode() in bytes(row.body) for row in Submission.objects.all())


def test_starttls(server, funnels, settings, trusting):
    settings.LOCAL = True
    posted(server, letter("x" * 30_000, message_id="<starttls@x>"))
    box = mailbox(server, host="localhost", tls="starttls")
    with pytest.raises(imap.Broken) as broken:
        mailboxes.poll(box)
    assert broken.value.code == "certificate" and MailFolder.objects.get().error.startswith("certificate|")
    trusting()
    mailboxes.poll(box)
    assert taken("<starttls@x>") == 1


def test_tls_from_the_start(server, wrapped, funnels, settings, trusting):
    settings.LOCAL = True
    posted(server, letter("x" * 30_000, message_id="<tls@x>"))
    box = mailbox(wrapped, host="localhost", tls="ssl")
    with pytest.raises(imap.Broken) as broken:
        mailboxes.poll(box)
    assert broken.value.code == "certificate"
    trusting()
    mailboxes.poll(box)
    assert taken("<tls@x>") == 1


def test_a_password_is_never_said_in_the_clear(funnels, settings):
    """A server that offers no encryption where it is asked for gets no password; nor one that answers in the clear."""
    settings.LOCAL = True
    with postbox.imap_server() as port:
        heard = postbox.Proxy(port)
        for tls in ("starttls", "ssl"):
            box = mailbox(heard.port, key=f"box-{tls}", host="localhost", tls=tls)
            with pytest.raises(imap.Broken) as broken:
                mailboxes.poll(box)
            assert broken.value.code == "encryption"
        heard.close()
        settings.LOCAL = False
        with pytest.raises(imap.Denied) as denied:
            mailboxes.poll(mailbox(port, key="open"))
        assert denied.value.code == "open"


def test_what_was_said_before_starttls_does_not_count(funnels, settings, trusting):
    """A stranger on the line adds an answer to what is still in the clear: it must not be taken for the server's."""
    settings.LOCAL = True
    trusting()
    lines = (b"* OK ready\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n",
             b"TAG OK go on\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* PREAUTH hello\r\n")  # fmt: skip
    with postbox.babble(*lines) as port, pytest.raises(imap.Broken) as broken:
        mailboxes.poll(mailbox(port, host="localhost", tls="starttls"))
    assert broken.value.code in {"encryption", "cut"}


def test_a_line_that_breaks_within_tls(server, wrapped, funnels, settings, trusting):
    settings.LOCAL = True
    trusting()
    posted(server, *[letter("x" * 30_000, message_id=f"<{n}@tls>") for n in range(3)])
    proxy = postbox.Proxy(wrapped)
    box, codes = mailbox(proxy.port, host="localhost", tls="ssl"), set()
    for after, ending in (
        (0, "cut"),
        (300, "cut"),
        (1500, "reset"),
        (2000, "garbage"),
        (30_000, "cut"),
        (60_000, "garbage"),
    ):
        proxy.fault = Fault(after, ending=ending, garbage=b"\x00garbage" * 20)
        with pytest.raises(imap.Broken) as broken:
            mailboxes.poll(box)
        codes.add(broken.value.code)
    assert codes <= {"cut", "encryption"}
    proxy.fault = None
    mailboxes.poll(box)
    proxy.close()
    assert [taken(f"<{n}@tls>") for n in range(3)] == [1, 1, 1]
