"""Addresses of the pages about what happened."""

from django.urls import path

from nodes.pages import events

urlpatterns = [
    path("events/", events.events, name="events"),
    path("live/events/", events.events_live, name="events-live"),
]
