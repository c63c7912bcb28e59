"""A person at a browser without scripts: cookies, links, and forms sent as the page gives them."""

import http.client
import http.cookies
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT = 30  # seconds


class Page:
    def __init__(self, status, headers, text, url):
        self.status, self.headers, self.text, self.url = status, headers, text, url
        self.document = _Document(text) if "html" in headers.get("Content-Type", "") else None

    def form(self, action):
        """The fields, as they stand, of the page's form that is sent to ``action``."""
        for form in self.document.forms:
            if form["action"].split("?")[0] == action:
                return dict(form["fields"])
        raise AssertionError(f"no form to {action}; forms go to {[form['action'] for form in self.document.forms]}")

    def links(self, begin):
        return [link for link in self.document.links if link.startswith(begin)]

    @property
    def words(self):
        return " ".join(" ".join(self.document.words).split())


class _Document(HTMLParser):
    """Forms, links, buttons of forms and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links, self.words, self.rows = [], [], [], []
        self._form = self._select = self._area = None
        self._silent = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = {"action": given.get("action", ""), "fields": {}}
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in {"script", "style"}:
            self._silent += 1
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
        elif self._form is not None and given.get("name"):
            self._field(tag, given)
        elif tag == "option" and self._form is not None and self._select and "selected" in given:
            self._form["fields"][self._select] = given.get("value", "")

    def _field(self, tag, given):
        kind = given.get("type", "text")
        if tag == "textarea":
            self._area = given["name"]
            self._form["fields"][self._area] = ""
        elif tag == "select":
            self._select = given["name"]
            self._form["fields"].setdefault(self._select, "")
        elif tag == "input" and kind in {"checkbox", "radio"} and "checked" not in given:
            return
        elif tag == "input" and kind not in {"submit", "button", "file"}:
            self._form["fields"][given["name"]] = given.get("value", "")

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None
        elif tag in {"script", "style"}:
            self._silent -= 1

    def handle_data(self, data):
        if self._area and self._form is not None:
            self._form["fields"][self._area] += data
        if self._silent:
            return
        self.words.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


class Visitor:
    def __init__(self, url, language="ru", agent="Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"):
        self.url, self.cookies = url, {}
        self.headers = {"Accept-Language": language, "User-Agent": agent, "Accept": "text/html"}

    def ask(self, method, path, body=None, **headers):
        """One request, no redirect followed."""
        asking = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT)
        jar = {"Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())} if self.cookies else {}
        try:
            asking.request(method, path, body, {**self.headers, **jar, **headers})
            answer = asking.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            asking.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return Page(answer.status, answer.headers, text, path)

    def get(self, path, *, part=False):
        """The page (or the part of one) behind ``path``, redirects followed; it must be there."""
        page = self._followed(self.ask("GET", path, **{"HX-Request": "true"} if part else {}))
        assert page.status == 200, (path, page.status, page.text[:2000])
        return page

    def _followed(self, page):
        for _hop in range(5):
            if page.status not in {301, 302, 303}:
                break
            target = urlsplit(urljoin(page.url, page.headers["Location"]))
            page = self.ask("GET", target.path + (f"?{target.query}" if target.query else ""))
        return page

    def post(self, path, **fields):
        """A form's answer, redirects followed."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._followed(self.ask("POST", path, urlencode(fields, doseq=True), **kind))

    def send(self, page, action, **fields):
        """Fill in the form of the page that goes to ``action`` and send it; the answer must be a page."""
        answer = self.post(action, **(page.form(action) | fields))
        assert answer.status == 200, (action, answer.status, answer.words[:2000])
        return answer

    def sign_in(self, username, password):
        page = self.get("/login/")
        fields = page.document.forms[0]["fields"] | {"username": username, "password": password}
        answer = self.post("/login/", **fields)
        assert "crm_session" in self.cookies, answer.words[:500]
        return answer
