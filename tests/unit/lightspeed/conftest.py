"""Property tests run the same examples everywhere, and leave nothing behind."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same-everywhere",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same-everywhere")
