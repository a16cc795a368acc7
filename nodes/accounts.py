"""People: the verbs that make users and give roles, each with its event."""

from typing import Any

from django.contrib.auth import get_user_model, password_validation
from django.core.exceptions import ValidationError
from django.db import transaction

from netadmin import roles
from netadmin.problems import Fault, Problem
from nodes import events


@transaction.atomic
def add(name: str, *, role: str, password: str, by: str) -> Any:
    """Add a user who logs in with a password; raises Problem."""
    model = get_user_model()
    user = model(username=name)
    faults = [*_name_faults(user), *_role_faults(role), *_password_faults(password, user)]
    if faults:
        raise Problem(*faults)
    user.set_password(password)
    user.save()
    roles.give(user, role)
    events.record(by, "added", "user", name, after={"role": role})
    return user


@transaction.atomic
def give_role(name: str, role: str, *, by: str) -> None:
    """Make ``role`` the one role of a user; raises Problem."""
    user = find(name)
    if faults := _role_faults(role):
        raise Problem(*faults)
    before = roles.role_of(user)
    roles.give(user, role)
    events.record(by, "changed", "user", name, before={"role": before}, after={"role": role})


def find(name: str) -> Any:
    """The user of this name; raises Problem."""
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise Problem(
            Fault("name", name, "is no user", "Add the user first, or correct the name (manage.py user ls)")
        )
    return user


def _name_faults(user: Any) -> list[Fault]:
    name = user.get_username()
    try:
        user.username_validator(name)
    except ValidationError:
        return [Fault("name", name, "is not a user name", "Use letters, digits and @ . + - _")]
    if get_user_model().objects.filter(username=name).exists():
        return [Fault("name", name, "is a user already", "Use another name, or give that user another role")]
    return []


def _role_faults(role: str) -> list[Fault]:
    if role in roles.ROLES:
        return []
    return [Fault("role", role, "is no role", f"Use one of {', '.join(roles.ROLES)}")]


def _password_faults(password: str, user: Any) -> list[Fault]:
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        return [Fault("password", "***", " ".join(error.messages).rstrip("."), "Choose another one")]
    return []
