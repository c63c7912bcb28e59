"""Standing characters of the tests.

``rep`` and ``colleague`` are managers of one team that ``head`` leads; ``outsider`` manages in another team;
``admin`` and ``marketer`` see all.
"""

import pytest
from django.test import Client

from tests.factories import TeamFactory, UserFactory, make_funnels


@pytest.fixture
def funnels(db):
    return make_funnels()


@pytest.fixture
def team(db):
    return TeamFactory(name="North")


@pytest.fixture
def rep(team):
    return UserFactory(username="rep", last_name="Репина", team=team)


@pytest.fixture
def colleague(team):
    return UserFactory(username="colleague", last_name="Коллегина", team=team)


@pytest.fixture
def head(team):
    user = UserFactory(username="head", last_name="Главная", role="head", team=team)
    team.heads.add(user)
    return user


@pytest.fixture
def outsider(db):
    return UserFactory(username="outsider", last_name="Чужая", team=TeamFactory(name="South"))


@pytest.fixture
def marketer(db):
    return UserFactory(username="marketer", last_name="Маркина", role="marketer")


@pytest.fixture
def admin(db):
    return UserFactory(username="admin", last_name="Админова", role="admin")


@pytest.fixture
def signed_in():
    """A client of the user: ``signed_in(rep).get(...)``; htmx requests by ``headers={"HX-Request": "true"}``."""

    def sign_in(user):
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
