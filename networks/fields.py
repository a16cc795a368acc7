"""One address as 16 bytes, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2).

Orders, ranges and unique constraints are right on SQLite and PostgreSQL alike, which
``GenericIPAddressField`` (text on SQLite) and ``DecimalField`` (floats there) are not.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from netaddr import AddrFormatError, IPAddress

MAPPED = 0xFFFF << 32


def packed(address: IPAddress) -> bytes:
    return int(address.value + MAPPED if address.version == 4 else address.value).to_bytes(16, "big")


def unpacked(raw: bytes) -> IPAddress:
    value = int.from_bytes(raw, "big")
    return IPAddress(value - MAPPED, 4) if value >> 32 == 0xFFFF else IPAddress(value, 6)


class AddressField(models.BinaryField):  # type: ignore[type-arg]
    """Python side: netaddr.IPAddress."""

    description = "IP address"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", True)
        kwargs["max_length"] = 16
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> IPAddress | None:
        return None if value is None else unpacked(bytes(value))

    def to_python(self, value: Any) -> IPAddress | None:
        if value is None or isinstance(value, IPAddress):
            return value
        if isinstance(value, bytes | memoryview):
            return unpacked(bytes(value))
        try:
            return IPAddress(value)
        except (AddrFormatError, ValueError, TypeError) as error:
            raise ValidationError(f"{value}: is not an IP address. Give one like 10.11.0.7.") from error

    def get_prep_value(self, value: Any) -> bytes | None:
        address = self.to_python(value)
        return None if address is None else packed(address)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        raw = value if prepared or value is None else self.get_prep_value(value)
        return super().get_db_prep_value(raw, connection, True)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj) or "")
