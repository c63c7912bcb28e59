"""HTML of letters: its text, quotations marked as in plain letters; and a form of it that is safe to be shown. Pure."""

import re
from html import unescape
from html.parser import HTMLParser

import nh3

_BLOCKS = {
    "p", "div", "br", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr", "section",
    "article", "header", "footer", "center", "dl", "dt", "dd", "body", "blockquote", "form", "address",
}  # fmt: skip
_SILENT = {"style", "script", "head", "title", "template", "noscript", "object", "svg", "math"}
_VOID = {"br", "hr", "img", "meta", "link", "input", "area", "base", "col", "wbr", "source", "embed", "param", "track"}
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table"}
RULE = "________________________________"  # what Outlook draws above the letter that is answered
_CUT = re.compile(r"gmail_quote|yahoo_quoted|moz-cite-prefix|divRplyFwdMsg|mail_quote|ms-outlook-mobile-reference")
MAX_NESTED = 200
MAX_TAGS = 12_000  # real newsletters have some thousands


def _bounded(html):
    """The beginning with as many tags as a letter may have: deep nests cost the square of their depth."""
    if html.count("<") <= MAX_TAGS:
        return html
    at = -1
    for _n in range(MAX_TAGS):
        at = html.index("<", at + 1)
    return html[:at]


def plain(html):
    """The text; what stands in ``blockquote`` begins with ``>``.

    Cleaned first: the standard library's parser needs minutes for tags that are never closed.
    """
    reader = _Reader()
    try:
        reader.feed(safe(html))
        reader.close()
    except (AssertionError, ValueError, RecursionError):  # of broken declarations: what was read so far counts
        pass
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.lines, self.line = [], []
        self.silent, self.quotes, self.pre = 0, 0, 0

    def handle_starttag(self, tag, attrs):
        if tag in _SILENT:
            self.silent += tag not in _VOID
            return
        if tag == "body":
            self.silent = 0  # a head that was never closed
        if tag in _BLOCKS:
            self._end_line(force=tag == "br")
        given = dict(attrs)
        if tag in _PARAGRAPHS and self.lines and self.lines[-1].strip("> "):
            self._blank()
        if tag == "blockquote":
            self.quotes = min(self.quotes + 1, MAX_NESTED)
        elif tag == "hr" or (tag == "div" and _is_rule(given.get("style") or "")):
            self.lines.append("> " * self.quotes + RULE)
        elif tag == "pre":
            self.pre += 1
        elif tag == "li":
            self.line.append("- ")
        elif tag == "td":
            self.line.append(" ")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
            return
        if tag in _BLOCKS:
            self._end_line()
        if tag in _PARAGRAPHS:
            self._blank()
        if tag == "blockquote":
            self.quotes = max(0, self.quotes - 1)
        elif tag == "pre":
            self.pre = max(0, self.pre - 1)

    def handle_data(self, data):
        if self.silent:
            return
        if not self.pre:
            self.line.append(re.sub(r"[ \t\r\n\f]+", " ", data))
            return
        for place, piece in enumerate(data.split("\n")):
            if place:
                self._end_line(force=True)
            self.line.append(piece)

    def _end_line(self, force=False):
        text = "".join(self.line).replace("\xa0", " ")
        self.line = []
        if text.strip() or force:
            self.lines.append("> " * self.quotes + (text.rstrip() if self.pre else text.strip()))

    def _blank(self):
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * self.quotes).rstrip())

    def text(self):
        self._end_line()
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(line.rstrip() for line in self.lines)).strip("\n")


def _is_rule(style):
    """Outlook's line above the letter that is answered: a block with a border on top alone."""
    return bool(re.search(r"border-top:\s*solid", style, re.IGNORECASE)) or bool(
        re.search(r"border:\s*none;\s*border-top:", style, re.IGNORECASE)
    )


# --- To be shown --------------------------------------------------------------------------------------------------------

_TAGS = {
    "a", "abbr", "address", "b", "big", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup", "dd",
    "del", "div", "dl", "dt", "em", "figure", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd",
    "li", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
}  # fmt: skip
_ATTRIBUTES = {
    "*": {"align", "bgcolor", "color", "dir", "height", "lang", "style", "title", "valign", "width"},
    "a": {"href"}, "img": {"src", "alt", "border"}, "font": {"face", "size"},
    "table": {"border", "cellpadding", "cellspacing"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"},
    "ol": {"start", "type"},
}  # fmt: skip
_STYLES = {
    "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left", "border-radius",
    "border-right", "border-top", "color", "display", "font", "font-family", "font-size", "font-style", "font-weight",
    "height", "letter-spacing", "line-height", "list-style-type", "margin", "margin-bottom", "margin-left", "margin-right",
    "margin-top", "max-width", "padding", "padding-bottom", "padding-left", "padding-right", "padding-top", "text-align",
    "text-decoration", "text-transform", "vertical-align", "white-space", "width", "word-break",
}  # fmt: skip


def safe(html):
    """HTML with what a letter needs to look like itself and nothing that acts, frames, posts or lays over the page."""
    return nh3.clean(
        _bounded(html), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel", "cid"},
        filter_style_properties=_STYLES, link_rel="noopener noreferrer nofollow", strip_comments=True,
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )  # fmt: skip


def has_pictures(html):
    """Whether it would load anything from elsewhere."""
    return bool(re.search(r'<img[^>]+src="https?:', html)) or "url(" in html


def with_pictures_of(html, found):
    """``cid:`` pictures put in their places: ``found``: content id → data address."""
    return re.sub(r'src="cid:([^"]+)"', lambda m: f'src="{found.get(unescape(m[1]), "")}"', html)
