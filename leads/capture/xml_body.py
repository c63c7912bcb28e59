"""XML as the value that JSON of the same would be: for providers without code of their own (1C's CommerceML and others).

An element is its text, or an object of its attributes and elements; what is repeated is a list, and a named value
(``<Тип>Почта</Тип><Значение>a@b.ru</Значение>``) stands in a list even alone. Names lose their name space. Entities
and document types are refused unread.
"""

import codecs
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.utils.translation import gettext as _

from leads.capture.base import MAX_DEPTH, Refused, clean, media_type

MOST = 100_000  # elements


def is_xml(content_type, raw=b""):
    """By its type, or by its first letters where the type says nothing of it, as programs of old leave it."""
    kind = media_type(content_type)
    vague = kind in {"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"}
    stated = kind in {"application/xml", "text/xml"} or kind.endswith("+xml")
    return stated or (vague and raw[:60].removeprefix(codecs.BOM_UTF8).lstrip()[:5] == b"<?xml")


def read_xml(raw, named=lambda names: False):
    """The value of a document; ``named``: whether elements of these names make a named value. Raises Refused."""
    try:
        root = fromstring(raw, forbid_dtd=True)
    except ParseError as error:
        where = _("line %(line)d, column %(column)d") % {"line": error.position[0], "column": error.position[1] + 1}
        raise Refused(400, "unparseable", _("Not XML: %s") % where) from None
    except (DefusedXmlException, ValueError, LookupError) as error:
        raise Refused(400, "unparseable", _("This XML is not read: %s") % type(error).__name__) from None
    if sum(1 for _element in root.iter()) > MOST:
        raise Refused(400, "unparseable", _("More than %d fields.") % MOST)
    value = _value(root, named, 0)
    return value if isinstance(value, dict) else {_name(root.tag): value}


def _name(tag):
    return clean(str(tag).rpartition("}")[2])


def _value(element, named, depth):
    if depth > MAX_DEPTH:
        raise Refused(400, "unparseable", _("Nested too deep."))
    text = (element.text or "").strip()
    found = {_name(name): clean(value) for name, value in element.attrib.items()}
    for child in element:
        name, value = _name(child.tag), _value(child, named, depth + 1)
        if name in found:
            former = found[name] if isinstance(found[name], list) else [found[name]]
            found[name] = [*former, value]
        else:
            found[name] = [value] if isinstance(value, dict) and named(set(value)) else value
    if not found:
        return clean(text)
    return found | ({"text": clean(text)} if text and "text" not in found else {})
