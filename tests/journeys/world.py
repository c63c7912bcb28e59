"""Who works in the journeys: a team each, with its head and its form; a welcome letter in each language.

Built inside the product's own process (``Product.python``), so that passwords and settings are the real ones.
"""

from datetime import time

from crm.core.models import Calendar, Hours, Organisation, Team, User
from leads.models import Source, Template
from routing.models import Rule

PASSWORD = "a long passphrase"  # of people who exist for a minute
CASES = "https://example.com/cases/"
PEOPLE = {  # team → its manager, another manager, its head
    "ru": [("Анна", "Смирнова"), ("Игорь", "Кузнецов"), ("Ольга", "Главная")],
    "en": [("Emma", "Stone"), ("Jack", "Miller"), ("Grace", "Head")],
    "back": [("Вера", "Жданова"), ("Пётр", "Встречный"), ("Нина", "Старшая")],
    "hand": [("Олег", "Ручкин"), ("Роман", "Соседов"), ("Инна", "Верхова")],
}
GREETING = {
    "ru": ("Мы получили вашу заявку", "Здравствуйте! Меня зовут {{ owner }}. Примеры наших работ: " + CASES),
    "en": ("We have received your enquiry", "Hello! My name is {{ owner }}. See what we have done: " + CASES),
}


def build():
    Organisation.objects.filter(pk=1).update(name="Ромашка", region="RU")
    calendar = Calendar.objects.create(name="Around the clock")
    Hours.objects.bulk_create(
        Hours(calendar=calendar, weekday=day, start=time(0), end=time(23, 59, 59, 999999)) for day in range(7)
    )
    Template.objects.filter(is_welcome=True).delete()
    for language, (subject, body) in GREETING.items():
        Template.objects.create(
            name=f"Welcome {language}", is_welcome=True, language=language, subject=subject, body=body
        )
    for place, name in enumerate(PEOPLE):
        _team(place, name, calendar)


def language_of(team):
    return "en" if team == "en" else "ru"


def _team(place, key, calendar):
    team = Team.objects.create(name=f"Team {key}")
    for name, (first, last) in zip(("rep", "colleague", "head"), PEOPLE[key], strict=True):
        user = User.objects.create_user(
            f"{name}_{key}", f"{name}_{key}@crm.test", PASSWORD, first_name=first, last_name=last,
            language=language_of(key), team=team, role="head" if name == "head" else "manager", calendar=calendar,
            takes_leads=name != "head",
        )  # fmt: skip
    team.heads.add(user)
    Source.objects.create(key=f"form-{key}", name=f"Form {key}", adapter="web-form")
    here = [{"field": "source", "op": "eq", "value": f"form-{key}"}]
    Rule.objects.create(name=f"To team {key}", position=place, strategy="evenly", team=team, condition=here)
