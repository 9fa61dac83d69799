"""Metrics for Prometheus: what a gateway tells its telemetry, counted, and what is read from it when it is scraped.

prometheus-client, the extra `metrics`, is imported only where metrics are on.
"""

from xinflight.metrics.create import create_metrics
from xinflight.metrics.metrics import Metrics, Registry

__all__ = ["Metrics", "Registry", "create_metrics"]
