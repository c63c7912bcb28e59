"""The text of a letter that came as HTML, quotations marked as in plain letters. Pure; shows nothing to anybody."""

import re
from html.parser import HTMLParser

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


def plain(html):
    """The text; what stands in ``blockquote`` begins with ``>``."""
    reader = _Reader()
    try:
        reader.feed(html)
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
