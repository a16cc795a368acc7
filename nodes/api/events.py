"""/api/v1/events/: who did what to what; also the audit log."""

from typing import Any

from django_filters import rest_framework as filters
from rest_framework import generics, serializers

from netadmin.rest import NewestFirst
from nodes.models import Event


class EventSerializer(serializers.ModelSerializer[Event]):
    class Meta:
        model = Event
        fields = ["id", "at", "actor", "verb", "kind", "name", "before", "after"]


class EventFilter(filters.FilterSet):  # type: ignore[misc]
    since = filters.IsoDateTimeFilter("at", "gte", label="Not before this time (ISO 8601).")
    until = filters.IsoDateTimeFilter("at", "lt", label="Before this time (ISO 8601).")

    class Meta:
        model = Event
        fields = ["kind", "name", "actor", "verb"]


class EventsView(generics.ListAPIView[Event]):
    """Events, newest first."""

    queryset = Event.objects.all()
    serializer_class = EventSerializer
    filterset_class: Any = EventFilter
    pagination_class = NewestFirst
