"""Who may do what.

    viewer      reads everything but tokens
    operator    declares, changes and withdraws networks; reserves addresses
    admin       also nodes, the cluster, users and tokens

A role is a Django group of that name; a superuser is an admin. Each role includes the
ones before it. A view says with ``write_role`` what a change through it needs.
"""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

VIEWER, OPERATOR, ADMIN = ROLES = ("viewer", "operator", "admin")
RANK = (
    "(SELECT max(CASE held.name"
    + "".join(f" WHEN '{role}' THEN {rank}" for rank, role in enumerate(ROLES))
    + " END) FROM auth_user_groups has JOIN auth_group held ON held.id = has.group_id"
    " WHERE has.user_id = {user})"
)
"""SQL: the place of a user's highest role among ROLES; NULL: none."""


def role_of(user: Any) -> str:
    """The highest role of a user; empty: none. One query, kept on the user object."""
    if not getattr(user, "is_authenticated", False) or not isinstance(user, AbstractBaseUser):
        return ""
    if not hasattr(user, "_netadmin_role"):
        names = set(user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]
        remember(user, max((ROLES.index(role) for role in names.intersection(ROLES)), default=None))
    role: str = user._netadmin_role  # type: ignore[attr-defined]
    return role


def remember(user: Any, rank: int | None) -> None:
    """Keep the role on the user object: its place among ROLES as it stands in the database, or None."""
    held = "" if rank is None else ROLES[rank]
    user._netadmin_role = ADMIN if user.is_superuser else held


def has_role(user: AbstractBaseUser | AnonymousUser, needed: str) -> bool:
    held = role_of(user)
    return bool(held) and ROLES.index(held) >= ROLES.index(needed)


def require(user: AbstractBaseUser | AnonymousUser, needed: str) -> None:
    """For pages: raises PermissionDenied."""
    if not has_role(user, needed):
        raise PermissionDenied(f"This needs the role {needed}; an admin can give it to you.")


def give(user: Any, role: str) -> None:
    """Make ``role`` the one role of a user."""
    user.groups.remove(*Group.objects.filter(name__in=ROLES))
    user.groups.add(Group.objects.get(name=role))


class ByRole(BasePermission):
    """Reading needs a role, writing needs the view's ``write_role`` (operator unless said)."""

    message = "Your role does not allow this; an admin can give you another one."

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = (
            getattr(view, "read_role", VIEWER)
            if request.method in SAFE_METHODS
            else getattr(view, "write_role", OPERATOR)
        )
        return has_role(request.user, needed)
