"""Django's PostgreSQL, with another look at connections of the pool (``base``, where Django searches it)."""
