"""What needs no networks, below /api/v1/."""

from django.urls import path, re_path

from netadmin.rest import NAME, NUMBER
from nodes.api.events import EventsView
from nodes.api.me import MeView
from nodes.api.questions import AnswerView, QuestionsView

urlpatterns = [
    path("events/", EventsView.as_view()),
    path("me/", MeView.as_view()),
    re_path(rf"^nodes/(?P<name>{NAME})/questions/$", QuestionsView.as_view()),
    re_path(rf"^nodes/(?P<name>{NAME})/questions/(?P<question>{NUMBER})/$", AnswerView.as_view()),
]
