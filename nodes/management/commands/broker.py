"""``manage.py broker``: who may do what at the broker."""

from django.core.management.base import CommandError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from netadmin.commandline import Verb, Verbs
from nodes import brokeraccess


class Command(Verbs):
    help = "The broker that carries wake-ups."

    def add_verbs(self, verb: Verb) -> None:
        verb(
            "sync",
            self.sync,
            "Send the access list: each node may pop its own queue and nothing else. Needed when a broker of "
            "your own (NETADMIN_BROKER_URL) was replaced, or was away while a node came or went.",
        )

    def sync(self) -> None:
        try:
            granted, revoked = brokeraccess.synchronise()
        except (OperationalError, RedisError, OSError) as error:
            raise CommandError(f"broker: {error}. Check NETADMIN_BROKER_URL and that it runs") from error
        self.stdout.write(f"let in: {', '.join(granted) or 'nobody'}")
        if revoked:
            self.stdout.write(f"shut out: {', '.join(revoked)}")
