"""What needs no networks, below /api/v1/."""

from django.urls import path

from nodes.api.events import EventsView
from nodes.api.me import MeView

urlpatterns = [
    path("events/", EventsView.as_view()),
    path("me/", MeView.as_view()),
]
