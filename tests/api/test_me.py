"""/api/v1/me/: who asks."""

import pytest

from tests import factories
from tests.conftest import Client, of_user

URL = "/api/v1/me/"


def test_it_tells_name_and_role(oscar: Client) -> None:
    assert oscar.get(URL).json() == {"name": "oscar", "role": "operator"}


@pytest.mark.django_db
def test_it_tells_who_has_no_role_and_may_do_nothing_else() -> None:
    stranger = of_user("stranger")
    assert stranger.get(URL).json() == {"name": "stranger", "role": ""}
    assert stranger.get("/api/v1/networks/").status_code == 403


@pytest.mark.django_db
def test_it_knows_who_logged_in() -> None:
    factories.a_user("vera", password="correct horse")
    client = Client()
    assert client.login(username="vera", password="correct horse")
    assert client.get(URL).json()["name"] == "vera"


@pytest.mark.django_db
def test_it_refuses_a_token_that_is_unknown_and_a_user_who_left() -> None:
    assert Client("unknown").get(URL).status_code == 401
    user = factories.a_user("vera")
    client = of_user("oscar")
    assert client.get(URL).status_code == 200
    user.delete()
    type(user).objects.filter(username="oscar").update(is_active=False)
    response = client.get(URL)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
