"""What is done on a page before it is looked at: a dialog or a menu opened, an empty form sent, rows picked."""

import re

from tests.browser.looking import STILL
from tests.browser.waiting import until

OPENERS = """() => {
  const seen = [...document.querySelectorAll("a[data-dialog]")].map((a) => ["dialog", a.getAttribute("href")]);
  const menus = [...document.querySelectorAll("[popovertarget]")].map((b) => ["menu", b.getAttribute("popovertarget")]);
  const folds = document.querySelector("main details:not([open])") ? [["unfold", location.pathname]] : [];
  return [...seen, ...menus, ...folds];
}"""
DIALOG = "href => document.querySelector(`a[data-dialog][href='${href}']`).click()"
MENU = """name => {
  const [button, menu] = [document.querySelector(`[popovertarget='${name}']`), document.getElementById(name)];
  if (menu.matches(":popover-open")) menu.hidePopover();
  if (!button.checkVisibility()) return false;
  button.scrollIntoView({ block: "center", behavior: "instant" });
  button.click();
  return menu.matches(":popover-open");
}"""
UNFOLD = "() => document.querySelectorAll('main details:not([open])').forEach((one) => (one.open = true))"
PICK = "() => [...document.querySelectorAll('[data-check], .action-select')].slice(0, 3).forEach((box) => box.click())"
SUBMIT = """() => {
  const fields = (form) => form.querySelectorAll("input:not([type=hidden]), select, textarea").length;
  const forms = [...document.querySelectorAll("main form[method=post], #content-main form, form[method=post]")];
  const form = forms.reduce((best, one) => (fields(one) > fields(best) ? one : best));
  for (const field of form.querySelectorAll("input, textarea")) {
    if (!["hidden", "checkbox", "radio", "submit", "button", "file"].includes(field.type)) field.value = "";
  }
  form.noValidate = true;
  form.requestSubmit();
}"""


def openers(page):
    """[(act, kind)]: what may be opened on the page; several of a kind differ by numbers alone."""
    for what, name in page.evaluate(OPENERS):
        yield (what, name), f"{what}-{re.sub(r'[0-9]+', 'N', name)}"


def act(page, what, name=""):
    """Do it at a desk; False where it cannot be done there."""
    if what == "dialog":
        page.evaluate(DIALOG, name)
        page.wait_for_selector("#dialog[open]")
    elif what == "menu":
        return page.evaluate(MENU, name)
    elif what == "unfold":
        page.evaluate(UNFOLD)
    elif what == "pick":
        page.evaluate(PICK)
    elif what == "submit":
        with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            page.evaluate(SUBMIT)
        page.wait_for_timeout(300)  # the answer is there, its page not yet
        assert answer.value.status in {200, 400, 422}, f"an empty form was answered {answer.value.status}"
        page.wait_for_load_state()
    until(page, STILL)
    return True


def again(page, what, name=""):
    """On the smaller screen: a menu is placed when it opens, the rest stands as it stood."""
    return page.evaluate(MENU, name) if what == "menu" else True
