"""manage.py user: who may log in, and what for."""

import io

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from netadmin import roles
from nodes import tokens
from nodes.models import Event
from tests.commands.conftest import Refusal, Run


def test_it_adds_a_user_who_can_log_in_with_the_printed_password(run: Run) -> None:
    (line,) = run("user add eve --role operator")
    user = authenticate(username="eve", password=line.rpartition(" ")[2])
    assert roles.role_of(user) == "operator"


def test_it_takes_the_password_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert run("user add eve --role admin --password-stdin") == ["added admin eve"]
    assert authenticate(username="eve", password="correct horse battery") is not None


def test_it_refuses_a_weak_password_in_words(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    said = refusal("user add eve --role admin --password-stdin")
    assert "at least 10 characters" in said
    assert "short" not in said.replace("too short", "")
    assert not User.objects.exists()


def test_it_refuses_a_name_that_is_taken(run: Run, refusal: Refusal) -> None:
    run("user add eve --role viewer")
    assert refusal("user add eve --role viewer").startswith("name=eve: is a user already.")


def test_it_refuses_a_name_that_is_none(refusal: Refusal) -> None:
    assert refusal("user add 'e v' --role viewer").startswith("name=e v: is not a user name.")


def test_it_prints_a_token_that_opens_the_api_and_nothing_else(run: Run) -> None:
    run("user add eve --role viewer")
    (token,) = run("user token eve --description script")
    row = tokens.find(token)
    assert row is not None
    assert row.user == User.objects.get(username="eve")
    assert row.description == "script"


def test_it_gives_another_role(run: Run) -> None:
    run("user add eve --role viewer")
    run("user role eve admin")
    assert roles.role_of(User.objects.get(username="eve")) == "admin"
    event = Event.objects.filter(kind="user").first()
    assert event is not None
    assert (event.before, event.after) == ({"role": "viewer"}, {"role": "admin"})
    assert event.actor.startswith("cli:")


def test_it_lists_users_with_their_roles(run: Run) -> None:
    run("user add eve --role viewer")
    run("user add adam --role admin")
    assert run("user ls") == [
        "name  role    last login",
        "adam  admin   never",
        "eve   viewer  never",
    ]


def test_it_says_which_user_is_unknown(refusal: Refusal) -> None:
    assert refusal("user token nobody").startswith("name=nobody: is no user.")
