"""Create the metrics that the settings or a host ask for."""

from xinflight.metrics.metrics import Metrics, Registry
from xinflight.settings import BadSettings, Settings

__all__ = ["create_metrics"]


def create_metrics(settings: Settings, registry: Registry | None) -> Metrics | None:
    """Return the metrics of a gateway, None unless the setting `metrics` or a host's registry asks for them.

    Raises:
        BadSettings: the extra `metrics` is not installed.
    """
    if not settings.metrics and registry is None:
        return None
    try:
        from xinflight.metrics.prometheus import PrometheusMetrics
    except ModuleNotFoundError:
        raise BadSettings("The setting metrics needs prometheus-client: pip install 'xinflight[metrics]'") from None
    return PrometheusMetrics(registry)
