"""An OpenTelemetry collector that remembers the last value of every metric, for what the cluster exports."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


@contextmanager
def collect_metrics() -> Iterator[tuple[str, dict[str, float]]]:
    """Listen on any loopback port; give the endpoint, and gauges and counters by name as they come in."""
    values: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            values.update(read_values(ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", values
    finally:
        server.shutdown()
        server.server_close()


def read_values(request: ExportMetricsServiceRequest) -> dict[str, float]:
    found = {}
    for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
        for point in (*metric.gauge.data_points, *metric.sum.data_points):
            found[metric.name] = point.as_double or float(point.as_int)
    return found
