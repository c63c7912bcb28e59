"""The settings in Russian: no column, heading, filter or help is left in English."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.utils.translation import override

LATIN = re.compile(r"[A-Za-z]{2,}")
NAMES = re.compile(
    r"ID|API|CRM|e-mail|English|HTML|IANA|IP|MQL|SQL|SHA-256|UTM", re.IGNORECASE
)  # said so in Russian, too


def english(words):
    return LATIN.search(NAMES.sub("", str(words))) and not re.search("[А-Яа-яЁё]", str(words))


def words_of(model):
    meta = model._meta
    yield from (
        (meta.label, words) for words in (meta.verbose_name, meta.verbose_name_plural, meta.app_config.verbose_name)
    )
    for field in [*meta.fields, *meta.many_to_many]:
        where = f"{meta.label}.{field.name}"
        yield from ((where, words) for words in (field.verbose_name, field.help_text))
        yield from ((where, words) for _value, words in field.flatchoices or ())


def words_of_page(model, page):
    for name in page.list_display:
        yield f"{model._meta.label} list: {name}", label_for_field(name, model, page)
    for name in [*(page.readonly_fields or ()), *(page.fields or ())]:
        yield f"{model._meta.label} page: {name}", label_for_field(name, model, page)
    for one in page.list_filter:
        yield f"{model._meta.label} filter: {one}", "" if isinstance(one, str) else one.title


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_nothing_of_a_table_is_left_in_english(model):
    with override("ru"):
        said = [*words_of(model), *words_of_page(model, admin.site._registry[model])]
        assert [(where, str(words)) for where, words in said if english(words)] == []
