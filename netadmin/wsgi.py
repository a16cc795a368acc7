"""WSGI entry points: ``application`` for any server, ``served`` for ``manage.py serve``."""

import multiprocessing
import os
from typing import Any

from django.core.wsgi import get_wsgi_application

from netadmin.processes import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netadmin.settings")
application = get_wsgi_application()


def served() -> Any:
    """The application in a worker process of the web server, which must not outlive it."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with_parent(parent.pid)
    return application
