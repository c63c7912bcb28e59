"""What a field is called and what it then means: the names that site builders, forms and programs use. Pure."""

# ruff: noqa: SIM905 - lists of words read best as words

import functools
import re

ALIASES = {
    "name": "name names fullname full_name fio фио имя your_name yourname contact_name client_name customer_name имя_клиента "
    "ваше_имя как_к_вам_обращаться как_вас_зовут имя_фамилия имя_и_фамилия фамилия_имя фамилия_и_имя "
    "фамилия_имя_отчество контактное_лицо contact_person username",
    "first_name": "first_name firstname fname given_name имя_без_фамилии",
    "last_name": "last_name lastname lname surname family_name фамилия",
    "middle_name": "middle_name patronymic отчество",
    "phone": "phone phones tel telephone mobile mobile_phone mobile_number phone_mobile phone_work work_phone home_phone "
    "business_phone cell cellphone cell_phone tel_number phone_number phonenumber телефон телефоны тел номер_телефона "
    "ваш_телефон моб_телефон моб_тел моб мобильный мобильный_телефон номер_мобильного сотовый сотовый_телефон контактный_номер "
    "номер_для_связи тел_whatsapp телефон_whatsapp phone_whatsapp whatsapp_phone contact_phone client_phone",
    "email": "email emails e_mail e_mails mail email_address mail_address e_mail_address work_email business_email почта "
    "эл_почта электронная_почта электронный_адрес адрес_электронной_почты адрес_эл_почты адрес_почты имейл емейл "
    "ваш_email contact_email client_email",
    "company_name": "company company_name organization organisation org компания организация фирма название_компании",
    "job_title": "job_title position должность role_title",
    "city": "city town город населенный_пункт",
    "region": "region область регион",
    "country": "country страна",
    "language": "language lang язык locale",
    "industry": "industry отрасль",
    "company_size": "company_size employees сотрудников количество_сотрудников",
    "product": "product product_name service услуга товар продукт interest интересует course курс",
    "need": "comment comments message msg text textarea question body note комментарий сообщение вопрос текст need "
    "потребность ваше_сообщение your_message message_text message_body inquiry enquiry description описание текст_сообщения пожелания "
    "ваш_вопрос вопросы",
    "budget": "budget бюджет",
    "tags": "tags tag теги тег",
    "external_id": "external_id externalid lead_id leadid request_id submission_id tranid",
    "telegram": "telegram tg telegram_username телеграм телеграмм",
    "whatsapp": "whatsapp wa ватсап вотсап",
    "vk": "vk vk_id vkontakte вк",
    "consent": "consent agree agreement privacy policy согласие согласен personal_data pdn gdpr terms "
    "согласие_на_обработку_персональных_данных согласен_на_обработку_персональных_данных",
    "visitor": "visitor_id visitor crm_visitor",
    "referrer": "referrer referer http_referer",
    "landing": "landing page page_url url landing_page landing_url location href страница",
    "secret": "secret",
    "own_id": "",  # by a mapping alone: the sender's number of this enquiry, which has its effect once
}  # fmt: skip
MARKS = {
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
    "gclid", "yclid", "fbclid", "ymclid", "vk_click_id", "gbraid", "wbraid", "roistat", "client_id",
    "ym_uid", "ga_client_id",
}  # fmt: skip
CANONICAL = {alias: name for name, words in ALIASES.items() for alias in words.split()} | {mark: mark for mark in MARKS}
# Names that a sender may not set, whoever it is: they are the product's own facts.
PROTECTED = frozenset(
    "id pk uuid owner owner_id manager responsible user user_id team team_id status state stage stage_id pipeline "
    "version score band fit engagement qualification created_at created updated_at assigned_at closed_at deleted "
    "is_deleted is_staff is_imported consent_ip consent_text person person_id source source_id first_origin "
    "last_origin waiting_since csrfmiddlewaretoken form_token website_url secret token answered_at".split()
)
CONTAINERS = frozenset(
    "contact contacts lead client customer data fields field form person answers answers_map payload body request "
    "user values properties attributes leads enquiries inquiries submissions applications records rows results entries "
    "requests лиды заявки обращения rawrequest namedvalues form_response named_values billing invitee attendee "
    "participant subscriber guest buyer".split()
)
CONTACTS = frozenset({"phone", "email", "telegram", "whatsapp", "vk", "external_id"})
TARGETS = sorted({*ALIASES, *MARKS})  # what a mapping may point at, besides custom.<name> and "-" (ignored)
LONGEST = 80  # characters of a name that is looked at word by word

# Words around a name that say nothing of what is asked for: ``your-tel``, ``customerPhone``, "Введите ваш телефон".
_AROUND = frozenset(
    "your you user client customer contact lead visitor buyer billing my the a enter please field input answer value "
    "what whats is s ваш ваша ваше ваши вашу введите укажите напишите оставьте пожалуйста клиента заявителя контактный "
    "контактная контактное контактные контактного для связи обратной".split()
)
# What such a shorter name may mean: of the others a sender must say the whole name.
_PLAIN = frozenset(
    "name first_name last_name middle_name phone email company_name job_title city region country product need budget "
    "telegram whatsapp vk consent".split()
)
# ``name.first``, ``phone.full``: what a part of a value is.
_PARTS = {
    ("name", "first"): "first_name", ("name", "given"): "first_name", ("name", "last"): "last_name",
    ("name", "family"): "last_name", ("name", "middle"): "middle_name", ("name", "full"): "name",
    ("phone", "full"): "phone", ("phone", "number"): "phone", ("phone", "value"): "phone", ("email", "value"): "email",
    ("email", "address"): "email",
}  # fmt: skip
_OF_NAMES = {"first_name", "last_name", "middle_name"}


def fold(name):
    return re.sub(r"[\s\-:*?!]+", "_", name.strip().casefold().replace("ё", "е")).strip("_")


@functools.lru_cache(10_000)
def words(name):
    """``customerPhone`` and ``your-tel`` as words, in small letters."""
    apart = name if name.islower() else re.sub(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])", "_", name)
    return tuple(word for word in re.split(r"[\W_]+", apart.casefold().replace("ё", "е")) if word)


@functools.lru_cache(10_000)
def meaning(name):
    """What a field of this name is, one of ``TARGETS``, or None."""
    if (known := CANONICAL.get(fold(name))) or len(name) > LONGEST:
        return known
    said = words(name)
    bare = [word for word in said if word not in _AROUND and not re.fullmatch(r"q?\d+", word)]
    found = CANONICAL.get("_".join(said)) or CANONICAL.get("_".join(bare))
    return found if found in _PLAIN else None


@functools.lru_cache(10_000)
def of_path(path):
    """What a path means: by its whole name, or by its last part where what stands around it is no one else's."""
    if known := meaning(path) if "." not in path else CANONICAL.get(fold(path)):
        return known
    *around, last = [fold(part) for part in path.split(".") if not part.isdigit()] or [""]
    if not around:
        return None
    if mark := _mark(around[-1], last):
        return mark
    known, whole = meaning(last), meaning(around[-1])
    agree = whole and (known == whole or (whole == "name" and known in _OF_NAMES))
    if part := known if agree else _PARTS.get((whole, last)):
        known = part
        around.pop()
    return known if all(part in CONTAINERS for part in around) else None


def _mark(parent, last):
    """Marketing's marks are nobody's in particular: they mean the same wherever they stand."""
    name = f"utm_{last}" if parent == "utm" else last
    return name if name in MARKS and name != "client_id" else None
