"""Every metric of a live run's page, declared once: the page, docs/live_metrics.md and the dashboard's test read this.

Names follow Prometheus' conventions (base units in the name, ``_total`` for what only grows):
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

LATENCY_BUCKETS_S = (
    1e-5,
    2.5e-5,
    5e-5,
    1e-4,
    2.5e-4,
    5e-4,
    1e-3,
    2.5e-3,
    5e-3,
    1e-2,
    2.5e-2,
    5e-2,
    0.1,
    0.25,
    0.5,
    1.0,
)
"""Upper bounds of the histogram of decision latencies [s]: from a compiled rule's to four times what counts as late."""

ON_TIME, AT_RISK, LATE = "on_time", "at_risk", "late"
"""How an unfinished workflow stands to its deadline; `LiveMetrics` says how it is told."""


@dataclass(frozen=True)
class Exported:
    """One metric.

    Attributes:
        name: Its name; samples of a counter have it as it stands here, those of a histogram with ``_bucket``, ``_sum``
            and ``_count`` behind it.
        kind: ``COUNTER``, ``GAUGE`` or ``HISTOGRAM``.
        unit: The unit of a value.
        labels: The names of its labels.
        description: What a value says.
    """

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    description: str

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names under which Prometheus stores its samples."""
        ends = ("_bucket", "_sum", "_count") if self.kind == HISTOGRAM else ("",)
        return tuple(f"{self.name}{end}" for end in ends)


_SERVER = ("node", "model")

_ALL = (
    Exported(
        "maestro_run_info",
        GAUGE,
        "1",
        ("run_id", "policy", "shadow", "fleet", "scenario", "version"),
        "Always 1; the labels say which run this is.",
    ),
    Exported("maestro_run_time_seconds", GAUGE, "s", (), "The time on the run's clock; a run that is resumed goes on."),
    Exported(
        "maestro_decisions_total",
        COUNTER,
        "decisions",
        ("tier", "by"),
        "Decisions that were taken since this controller began: tier is global, cluster or node, by is policy, "
        "fallback or agent.",
    ),
    Exported(
        "maestro_decision_latency_seconds",
        HISTOGRAM,
        "s",
        ("tier",),
        "The real time that a decision of the policy or the agent took. Decisions of a policy that was replaced "
        "are not in it.",
    ),
    Exported(
        "maestro_decision_troubles_total",
        COUNTER,
        "decisions",
        ("kind",),
        "Decisions that went wrong: late (above 0.25 s), illegal (the lowest legal action was taken), failed (the"
        " rule raised an error) or replaced (the fallback decides for good).",
    ),
    Exported("maestro_policy_replaced", GAUGE, "flag", (), "1 when the fallback has taken over for good, else 0."),
    Exported("maestro_workflows_arrived_total", COUNTER, "workflows", ("class",), "Workflows that have arrived."),
    Exported(
        "maestro_workflows_finished_total",
        COUNTER,
        "workflows",
        ("class", "deadline"),
        "Workflows that have finished; deadline is met or missed.",
    ),
    Exported(
        "maestro_workflows_in_system",
        GAUGE,
        "workflows",
        ("class", "deadline"),
        "Workflows that have arrived and are unfinished. deadline is late when it has passed; at_risk when a "
        "stage of the workflow would miss it even if the stage and all that is predicted to follow were served at"
        " once and alone (deadline - now - T_rem < 0, T_rem being the median prediction less what the stage has "
        "generated); else on_time.",
    ),
    Exported(
        "maestro_stages",
        GAUGE,
        "stages",
        ("class", "phase"),
        "Unfinished stages that are known: ready (in the global queue), transit (on the way to a node), queued "
        "(at a node), running (admitted), delivery (the answer is on its way), gap (delivered; the tool runs).",
    ),
    Exported(
        "maestro_stages_finished_total", COUNTER, "stages", ("class",), "Stages that have finished, tools included."
    ),
    Exported(
        "maestro_queue_stages",
        GAUGE,
        "stages",
        ("queue", "class"),
        "The length of a queue: queue is global, or the name of a node.",
    ),
    Exported(
        "maestro_queue_oldest_wait_seconds",
        GAUGE,
        "s",
        ("class",),
        "How long the stage has waited that has been ready and not admitted for the longest time; 0 when none waits.",
    ),
    Exported("maestro_output_tokens_total", COUNTER, "tokens", (), "Output tokens of finished stages."),
    Exported("maestro_preemptions_total", COUNTER, "pauses", (), "Pauses of running stages, whose KV memory is lost."),
    Exported(
        "maestro_engine_state",
        GAUGE,
        "flag",
        (*_SERVER, "state"),
        "1 for the state in which the engine is, 0 for the others: running, loading, sleeping, off (no process, "
        "or its memory was given to others) or down (it does not answer).",
    ),
    Exported("maestro_engine_batch_stages", GAUGE, "stages", _SERVER, "Admitted stages of an engine."),
    Exported("maestro_kv_reserved_bytes", GAUGE, "bytes", _SERVER, "KV memory that the controller has set aside."),
    Exported(
        "maestro_kv_used_bytes",
        GAUGE,
        "bytes",
        _SERVER,
        "KV memory that is in use: the engine's own gauge, at most one scrape old, and the unreferenced cached "
        "blocks by the controller's estimate. It follows the reservations where a server has no metrics page.",
    ),
    Exported("maestro_kv_pool_bytes", GAUGE, "bytes", _SERVER, "KV memory to which requests are admitted."),
    Exported(
        "maestro_server_faults_total",
        COUNTER,
        "faults",
        (*_SERVER, "kind"),
        "Troubles with a server since this controller began; docs/live.md lists what happens at each.",
    ),
    Exported("maestro_server_lost_total", COUNTER, "times", _SERVER, "How often a server went down."),
    Exported("maestro_server_stages_finished_total", COUNTER, "stages", _SERVER, "Stages that a server has finished."),
    Exported(
        "maestro_server_scrape_age_seconds",
        GAUGE,
        "s",
        _SERVER,
        "The age of the last page of metrics that the server gave; absent before the first and for servers "
        "without one.",
    ),
)

EXPORTED: dict[str, Exported] = {metric.name: metric for metric in _ALL}
"""The metrics by name, in the order of the page."""

_HEAD = """# Metrics of a live run

<!-- Written by `make docs`; do not edit by hand. -->

`maestro-gym live --metrics-port 9464` serves this page to Prometheus while it runs, on `http://127.0.0.1:9464/metrics`.
[operating.md](operating.md) says how to scrape it, and what the dashboard shows. The page is empty until every server
was probed. From then on all of it belongs to one moment, between two turns of the control loop. Metrics of *finished*
runs are others: [metrics.md](metrics.md).

Classes are `interactive` and `batch`. Counters begin at 0 with each controller, except those of workflows, stages and
tokens, which count the whole run when it is resumed.

| metric | kind | unit | labels |
| --- | --- | --- | --- |
"""


def exported_markdown() -> str:
    """Write the text of docs/live_metrics.md."""
    metrics = EXPORTED.values()
    rows = "".join(f"| [`{m.name}`](#{m.name}) | {m.kind} | {m.unit} | {', '.join(m.labels)} |\n" for m in metrics)
    details = "".join(f"\n### {m.name}\n\n{m.description}\n" for m in metrics)
    buckets = ", ".join(f"{bound:g}" for bound in LATENCY_BUCKETS_S)
    return f"{_HEAD}{rows}\nBuckets of the histogram, in seconds: {buckets}.\n\n## What they mean\n{details}"
