from typing import Any

SSLConfig: Any
BatchingParameters: Any
MonitoringConfig: Any
PrometheusConfig: Any
