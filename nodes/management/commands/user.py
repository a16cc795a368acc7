"""``manage.py user``: who may log in, and what for."""

import secrets
import sys

from django.contrib.auth import get_user_model

from netadmin import roles
from netadmin.commandline import Verb, Verbs, by, table
from nodes import accounts, tokens

ROLE_HELP = "viewer reads; operator declares networks; admin also manages nodes, the cluster and users."


class Command(Verbs):
    help = "People: who may log in, with which role."

    def add_verbs(self, verb: Verb) -> None:
        add = verb("add", self.add, "Add a user.", "example: manage.py user add ada --role admin")
        add.add_argument("name")
        add.add_argument("--role", choices=roles.ROLES, required=True, help=ROLE_HELP)
        add.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read the password from standard input; else one is made and printed once.",
        )
        token = verb(
            "token",
            self.token,
            "Make a token for the REST API; printed once, only its hash is kept.",
            'use: curl -H "Authorization: Token $(manage.py user token ada)" URL/api/v1/networks/',
        )
        token.add_argument("name")
        token.add_argument("--description", default="", help="What it is for.")
        role = verb("role", self.role, "Give a user another role.")
        role.add_argument("name")
        role.add_argument("role", choices=roles.ROLES, help=ROLE_HELP)
        verb("ls", self.ls, "List the users with their roles.")

    def add(self, name: str, role: str, password_stdin: bool) -> None:
        password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(12)
        accounts.add(name, role=role, password=password, by=by())
        self.stdout.write(f"added {role} {name}" + ("" if password_stdin else f", password {password}"))

    def token(self, name: str, description: str) -> None:
        self.stdout.write(tokens.for_user(accounts.find(name), description=description, by=by()))

    def role(self, name: str, role: str) -> None:
        accounts.give_role(name, role, by=by())
        self.stdout.write(f"{name} is {role} now")

    def ls(self) -> None:
        rows = [["name", "role", "last login"]]
        for user in get_user_model().objects.order_by("username").prefetch_related("groups"):
            last = f"{user.last_login:%Y-%m-%d %H:%M}" if user.last_login else "never"
            rows.append([user.get_username(), roles.role_of(user) or "none", last])
        self.stdout.write(table(rows))
