"""What of the published systems these decisions cannot express, with the reason: said and not faked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """A mechanism of a published system that no rule stands for.

    Attributes:
        system: Whose it is.
        mechanism: What it does.
        reason: Why no decision of the four rules says it.
        instead: The rules that stand for the rest of the system, or for what is nearest; empty where there is none.
    """

    system: str
    mechanism: str
    reason: str
    instead: str = ""


LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut(
        "Aegaeon",
        "switching models between tokens; decode in weighted round robin on token slack",
        "a node admits stages and moves models; who is in which step of an engine is not decided",
    ),
    LeftOut(
        "AIBrix",
        "prefill and decode on separate pods (`pd`)",
        "a stage runs on one node from its prompt to its last token",
    ),
    LeftOut(
        "AIBrix",
        "`vtc-basic`, `slo*`",
        "they count tokens or queue for each client at the gateway: an order of the global queue, not a routing",
        "`vtc`, as an order",
    ),
    LeftOut(
        "Continuum",
        "pinning the KV of a program on the GPU",
        "cached KV counts as free and goes by itself, oldest first; what a rule keeps is an engine",
        "`continuum-ttl`, its time to live, for engines",
    ),
    LeftOut(
        "GoodServe",
        "moving requests at risk to another GPU",
        "no decision moves a running stage with its KV",
        "`goodserve`, its just-enough selection",
    ),
    LeftOut(
        "Hermes",
        "prewarming of models that follow with a probability of 0.5 or more",
        "nothing is promoted for a stage that is not there",
        "`hermes`, its Gittins index",
    ),
    LeftOut(
        "JITServe",
        "just enough bandwidth for each request, a new composition of the batch every few steps",
        "bandwidth is a share of an engine's steps; a stage keeps its place in the batch once it is admitted",
        "`required-rate`, as an order",
    ),
    LeftOut(
        "Justitia",
        "virtual time that slows with the number of active agents",
        "it needs what it was at each workflow's arrival, and a policy has no note for each workflow",
        "`justitia`, at a steady rate",
    ),
    LeftOut(
        "KVFlow",
        "prefetch of the next agents from host memory",
        "nothing is promoted for a stage that is not there, and cached KV has no tier on the host",
        "`kvflow`, its eviction",
    ),
    LeftOut(
        "LLMSched",
        "a Bayesian network over the durations of a DAG's stages, updated after each",
        "predictions come with each stage, and no joint law of durations is in the view",
        "`llmsched`, by their spread",
    ),
    LeftOut(
        "Llumnix",
        "live migration",
        "no decision moves a running stage with its KV",
        "`llumnix`, its dispatch",
    ),
    LeftOut(
        "MuxServe",
        "shares of SMs for co-located models, placement by a search over rates",
        "how engines share a GPU is physics (`limits.gpu_sharing`); the placement at the start is the scenario's",
        "`muxserve`, its KV quotas",
    ),
    LeftOut(
        "NVIDIA Dynamo",
        "softmax over costs at a temperature",
        "its default temperature is 0, which is the least cost",
        "`dynamo`",
    ),
    LeftOut(
        "Parrot",
        "engines chosen for calls with a common prefix, larger batches for throughput",
        "the first is a routing's choice, and the size of a batch a limit of the engine",
        "`parrot`, its order; `prefix-cache`",
    ),
    LeftOut(
        "Pythia",
        "S_unblock, which favours calls whose later agents' queues are short",
        "predictions do not name the models of later calls",
        "`pythia`, its other term",
    ),
    LeftOut(
        "QLM",
        "eviction of running requests for others; one program over all queues",
        "a running stage is paused only where memory is short; a decision places one stage",
        "`qlm-queues`, its waiting time with swaps; `qlm`, its objective as an order",
    ),
    LeftOut(
        "QoServe",
        "chunk sizes that move with the slack of the batch; an alpha that moves with the load",
        "a chunk is the engine's, and keys that jump with the load are not ordered by blocks of the queue",
        "`qoserve`; alpha is a number that a search tunes",
    ),
    LeftOut(
        "SAGA",
        "stealing of calls that wait at a node; Agent Fair Share",
        "a stage that was sent is not recalled; a share for each tenant is an order of the global queue",
        "`saga-affinity`, which steals when a stage is placed, and `saga-wa-lru`",
    ),
    LeftOut(
        "SCORPIO",
        "the TPOT guard: admission by virtual batch size, credits for steps",
        "workloads have no limit on time per output token, and no decision enters an engine's steps",
        "`scorpio`, its TTFT guard",
    ),
    LeftOut(
        "Teola",
        "passes over graphs of primitives: parallel parts, pipelines",
        "a workflow's stages are as its application makes them",
        "`teola`, its depth",
    ),
    LeftOut(
        "ThunderAgent",
        "shortest context first among running programs; decay of the KV of paused ones",
        "an engine that lacks memory offers its last admitted stage alone, as vLLM does; a paused stage keeps no KV",
    ),
    LeftOut(
        "Tokencake",
        "offload of KV to the host during tool calls, a pool reserved for critical agents",
        "cached KV has no tier on the host, and the pool of a node is not divided by agent",
    ),
    LeftOut(
        "Torpor",
        "swaps over fast links between the GPUs of a server, pipelined with execution",
        "weights come from the host, and an engine serves once they are all there",
        "`torpor` and `torpor-evict`",
    ),
)
"""By system."""
